"""Every setting, read from the environment, with defaults that run from a clean checkout.

A secret NAME may also come from the file that NAME_FILE points at. docs/settings.md lists all of them.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from kombu import Queue

from marketspine.environment import Environment, database, results_of

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = Environment()

PLACEHOLDER_KEY = "only-for-a-laptop-"
SECRET_KEY = env.str("SECRET_KEY", default=PLACEHOLDER_KEY + "0" * 40)
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1"])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "django_celery_results",
    "pipeline",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "marketspine.urls"
WSGI_APPLICATION = "marketspine.wsgi.application"
STATIC_URL = "static/"
WHITENOISE_USE_FINDERS = True  # the admin's files are served from where they are installed: nothing to collect

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES = {"default": database(env.str("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'marketspine.sqlite3'}"))}

# The archive of payloads is Django's default storage: a folder here, S3 through django-storages elsewhere.
MARKETSPINE_ARCHIVE_DIR = env.str("MARKETSPINE_ARCHIVE_DIR", default=str(VAR_DIR / "archive"))
STORAGES = {
    "default": {
        "BACKEND": "django.core.files.storage.FileSystemStorage",
        "OPTIONS": {"location": MARKETSPINE_ARCHIVE_DIR},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

# Where the `files` source looks for FINRA's files, and the largest it reads, before and after decompression.
MARKETSPINE_SOURCE = env.str("MARKETSPINE_SOURCE", default="files")
MARKETSPINE_SOURCE_DIR = env.str("MARKETSPINE_SOURCE_DIR", default=str(VAR_DIR / "source"))
MARKETSPINE_MAX_FILE_BYTES = env.at_least_one("MARKETSPINE_MAX_FILE_BYTES", default=512 * 1024 * 1024)

# A payload with a larger share of rejected rows fails whole; a capture that lost a larger share of rows is refused.
MARKETSPINE_MAX_REJECT_SHARE = env.share("MARKETSPINE_MAX_REJECT_SHARE", default=0.10)
MARKETSPINE_MAX_SHRINK_SHARE = env.share("MARKETSPINE_MAX_SHRINK_SHARE", default=0.20)

# A worker shows a sign of life every sixth of this; what shows none for so long is taken to be dead, and is taken back.
MARKETSPINE_STALE_AFTER_SECONDS = env.at_least_one("MARKETSPINE_STALE_AFTER_SECONDS", default=180)

# A partition is tried so often, whether a passing error or a worker's death ended the try; the first repetition comes
# after so many seconds, each further one after twice as many.
MARKETSPINE_MAX_ATTEMPTS = env.at_least_one("MARKETSPINE_MAX_ATTEMPTS", default=4)
MARKETSPINE_RETRY_SECONDS = env.at_least_one("MARKETSPINE_RETRY_SECONDS", default=10)

# A source gets so long to deliver one partition. A task gets a little longer (soft limit), then its process is killed.
MARKETSPINE_FETCH_SECONDS = env.at_least_one("MARKETSPINE_FETCH_SECONDS", default=600)
CELERY_TASK_SOFT_TIME_LIMIT = env.at_least_one("MARKETSPINE_SOFT_LIMIT_SECONDS", default=900)
CELERY_TASK_TIME_LIMIT = env.at_least_one("MARKETSPINE_HARD_LIMIT_SECONDS", default=1200)

# What was sent so long ago and has not started is sent again. No more partitions of a run are sent at a time.
MARKETSPINE_RESEND_AFTER_SECONDS = env.at_least_one("MARKETSPINE_RESEND_AFTER_SECONDS", default=300)
MARKETSPINE_MAX_IN_FLIGHT = env.at_least_one("MARKETSPINE_MAX_IN_FLIGHT", default=30)

# The embedded engine: a worker of so many threads in the process of the command, over a queue in memory.
MARKETSPINE_THREADS = env.at_least_one("MARKETSPINE_THREADS", default=2)

# The distributed engine, wherever there is a broker. docs/engine.md gives the reasons.
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="memory://")
CELERY_RESULT_BACKEND = results_of(
    env.str("CELERY_RESULT_BACKEND", default="django-db" if CELERY_BROKER_URL == "memory://" else CELERY_BROKER_URL)
)
VISIBILITY_TIMEOUT = env.at_least_one("MARKETSPINE_VISIBILITY_TIMEOUT_SECONDS", default=3600)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "visibility_timeout": VISIBILITY_TIMEOUT,
    "queue_order_strategy": "priority",
    "priority_steps": [0, 3, 6, 9],
    "socket_connect_timeout": 5,
    "socket_timeout": 30,
}
CELERY_RESULT_BACKEND_TRANSPORT_OPTIONS = {
    "visibility_timeout": VISIBILITY_TIMEOUT,
    "retry_policy": {"max_retries": 3, "timeout": 5.0},
}
CELERY_VISIBILITY_TIMEOUT = VISIBILITY_TIMEOUT
CELERY_REDIS_SOCKET_CONNECT_TIMEOUT = 5
CELERY_REDIS_SOCKET_TIMEOUT = 30
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
CELERY_TASK_QUEUES = [Queue("ingest"), Queue("calc"), Queue("control")]
CELERY_TASK_DEFAULT_QUEUE = "control"
CELERY_TASK_ROUTES = {"pipeline.process_partition": {"queue": "ingest"}, "pipeline.close_week": {"queue": "calc"}}
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = False  # attempts are counted in the ledger
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_RESULT_EXPIRES = timedelta(days=1)
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"

MARKETSPINE_LOG_LEVEL = env.str("MARKETSPINE_LOG_LEVEL", default="WARNING")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {
        "pipeline": {"handlers": ["stderr"], "level": MARKETSPINE_LOG_LEVEL},
        "celery": {"handlers": ["stderr"], "level": MARKETSPINE_LOG_LEVEL},
        "django": {"handlers": ["stderr"], "level": "ERROR"},
    },
}
