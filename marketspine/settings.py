"""Every setting, read from the environment, with defaults that run from a clean checkout.

A secret NAME may also come from the file that NAME_FILE points at. docs/settings.md lists all of them.
"""

from __future__ import annotations

from pathlib import Path

from marketspine.environment import Environment, database

BASE_DIR = Path(__file__).resolve().parent.parent
VAR_DIR = BASE_DIR / "var"

env = Environment()

SECRET_KEY = env.str("SECRET_KEY", default="only-for-a-laptop-" + "0" * 40)
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1"])

INSTALLED_APPS = ["pipeline"]
MIDDLEWARE: list[str] = []
ROOT_URLCONF = "marketspine.urls"

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
    }
}

# Where the `files` source looks for FINRA's files, and the largest it reads, before and after decompression.
MARKETSPINE_SOURCE = env.str("MARKETSPINE_SOURCE", default="files")
MARKETSPINE_SOURCE_DIR = env.str("MARKETSPINE_SOURCE_DIR", default=str(VAR_DIR / "source"))
MARKETSPINE_MAX_FILE_BYTES = env.at_least_one("MARKETSPINE_MAX_FILE_BYTES", default=512 * 1024 * 1024)

# A payload with a larger share of rejected rows fails whole; a capture that lost a larger share of rows is refused.
MARKETSPINE_MAX_REJECT_SHARE = env.share("MARKETSPINE_MAX_REJECT_SHARE", default=0.10)
MARKETSPINE_MAX_SHRINK_SHARE = env.share("MARKETSPINE_MAX_SHRINK_SHARE", default=0.20)

# A run that shows no sign of life for so long is taken to be dead, and what it held is taken back.
MARKETSPINE_STALE_AFTER_SECONDS = env.at_least_one("MARKETSPINE_STALE_AFTER_SECONDS", default=900)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {"pipeline": {"handlers": ["stderr"], "level": env.str("MARKETSPINE_LOG_LEVEL", default="WARNING")}},
}
