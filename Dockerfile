# The product in one image: web, workers, beat and commands differ in the command only. No secret is baked in.

FROM python:3.11-slim AS build
COPY requirements.txt /requirements.txt
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --only-binary :all: \
        -r /requirements.txt

FROM python:3.11-slim
ENV PATH=/venv/bin:$PATH \
    HOME=/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    DJANGO_SETTINGS_MODULE=marketspine.settings \
    MARKETSPINE_ARCHIVE_DIR=/var/lib/marketspine/archive \
    MARKETSPINE_SOURCE_DIR=/var/lib/marketspine/source
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
HEALTHCHECK --interval=30s --timeout=10s --start-period=20s CMD ["python", "manage.py", "health", "web"]
CMD ["gunicorn", "marketspine.wsgi", "--bind", "0.0.0.0:8000", "--workers", "2", "--threads", "8", \
     "--worker-class", "marketspine.web_worker.WebWorker", "--access-logfile", "-", \
     "--forwarded-allow-ips", "*", "--no-control-socket"]
