# The product in one image: web, workers, beat and commands differ in the command only. No secret is baked in. It has the
# extras, too: an archive in a bucket, notices to any service.

FROM python:3.11.16-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7 AS build
COPY requirements-extras.txt /requirements.txt
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: \
        -r /requirements.txt

FROM python:3.11.16-slim@sha256:9c900dea9e8fb7e16277c179b555cc72d29a352dbc33cff48ad5a0412fd5bfc7
ENV PATH=/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=marketspine.settings \
    MARKETSPINE_RUN_DIR=/tmp/marketspine \
    MARKETSPINE_ARCHIVE_DIR=/var/lib/marketspine/archive \
    MARKETSPINE_SOURCE_DIR=/var/lib/marketspine/source
# pg_dump and pg_restore, for backups: as new as the newest server, since an older pg_dump refuses a newer server.
ARG POSTGRES_MAJOR=18
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates postgresql-common \
    && /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y \
    && apt-get install -y --no-install-recommends "postgresql-client-$POSTGRES_MAJOR" \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /venv /venv
WORKDIR /app
COPY manage.py ./
COPY marketspine marketspine
COPY pipeline pipeline
# OpenShift runs an image as any user it likes, in group 0: what is written belongs to that group.
RUN mkdir -p "$MARKETSPINE_ARCHIVE_DIR" "$MARKETSPINE_SOURCE_DIR" \
    && chgrp -R 0 /var/lib/marketspine \
    && chmod -R g=u /var/lib/marketspine
USER 1001:0
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=5)"]
CMD ["gunicorn", "marketspine.wsgi", "--bind", "0.0.0.0:8000", "--workers", "2", "--threads", "8", \
     "--worker-class", "marketspine.web_worker.WebWorker", "--worker-tmp-dir", "/dev/shm", \
     "--logger-class", "marketspine.web_log.WebLogger", "--access-logfile", "-", \
     "--forwarded-allow-ips", "*", "--no-control-socket"]
