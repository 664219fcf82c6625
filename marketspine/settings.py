"""Every setting, read from the environment, with defaults that run from a clean checkout.

A secret NAME may also come from the file that NAME_FILE points at. docs/settings.md lists all of them.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

from kombu import Queue

from marketspine import logs, rest
from marketspine.addresses import IN_PROCESS, broker, database, origins, results_of, sqlite_at, web
from marketspine.caches import cache_beside
from marketspine.cores import available
from marketspine.environment import BASE_DIR, Environment, is_set
from marketspine.skin import SKIN
from marketspine.storage import storages
from pipeline.task_names import CLOSE_WEEK, PROCESS_PARTITION

VAR_DIR = BASE_DIR / "var"
DEMO_DIR = VAR_DIR / "demo"

env = Environment()

PLACEHOLDER_KEY = "only-for-a-laptop-"
SECRET_KEY = env.secret("SECRET_KEY", default=PLACEHOLDER_KEY + "0" * 40)
DEBUG = env.bool("DEBUG", default=False)
ALLOWED_HOSTS = env.hosts("ALLOWED_HOSTS", default=["localhost", "127.0.0.1"], patterns=True)

INSTALLED_APPS = [
    "pipeline",  # before the skin, which is before Django's admin: the first template of a name wins
    "unfold",
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_celery_beat",
    "django_celery_results",
    "axes",
    "rest_framework",
    "knox",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]
MIDDLEWARE = [
    "marketspine.probes.Probes",  # first: a probe and a scrape ask a container's address, not the site's name
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "pipeline.admin.shared.offered.OfferedOnly",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "axes.middleware.AxesMiddleware",
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
                "pipeline.admin.dashboard.samples.notice",
            ]
        },
    }
]
ROOT_URLCONF = "marketspine.urls"
WSGI_APPLICATION = "marketspine.wsgi.application"
STATIC_URL = "/static/"
WHITENOISE_USE_FINDERS = True  # static files are served from where they are installed, without collectstatic

# Signing in: after so many wrong passwords for a name from an address, that pair waits; after more, the whole address.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
AXES_FAILURE_LIMIT = env.at_least_one("MARKETSPINE_LOGIN_ATTEMPTS", default=5)
AXES_COOLOFF_TIME = timedelta(seconds=env.at_least_one("MARKETSPINE_LOGIN_WAIT_SECONDS", default=900))
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_HANDLER = "marketspine.signing_in.Attempts"
AXES_CLIENT_IP_CALLABLE = "marketspine.signing_in.client_address"
MARKETSPINE_PROXIES = env.at_least_zero("MARKETSPINE_PROXIES", default=0, most=10)
MARKETSPINE_LOGIN_ATTEMPTS_PER_ADDRESS = env.at_least_one("MARKETSPINE_LOGIN_ATTEMPTS_PER_ADDRESS", default=20)
AXES_LOCKOUT_TEMPLATE = "pipeline/locked_out.html"
AXES_RESET_ON_SUCCESS = True
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

# Behind a proxy that speaks TLS: cookies over https only, http sent to https, and browsers told to stay there.
HTTPS = env.bool("MARKETSPINE_HTTPS", default=False)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
CSRF_TRUSTED_ORIGINS = origins(env.str("CSRF_TRUSTED_ORIGINS", default=""), ALLOWED_HOSTS if HTTPS else [])
SESSION_COOKIE_AGE = 12 * 3600
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"

# Nothing from other hosts, and only our own files as scripts. The skin's Alpine.js compiles the expressions in its
# attributes ('unsafe-eval'), and the skin and its charts set styles (docs/adr/0021).
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'", "'unsafe-eval'"],
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "base-uri": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
}

UNFOLD = SKIN

USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = ["marketspine.formats"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The demo works on invented samples. Its ledger, archive and files are beneath a folder of their own.
MARKETSPINE_DEMO = env.bool("MARKETSPINE_DEMO", default=False)
HOME_DIR = DEMO_DIR if MARKETSPINE_DEMO else VAR_DIR
LOCATIONS = ("DATABASE_URL", "MARKETSPINE_ARCHIVE_DIR", "MARKETSPINE_SOURCE_DIR")
MARKETSPINE_TAKES_SAMPLES = MARKETSPINE_DEMO or all(map(is_set, LOCATIONS))
if not is_set("DATABASE_URL"):
    with suppress(OSError):  # SQLite makes its file, but not the folder; if that fails, SQLite will say so
        HOME_DIR.mkdir(parents=True, exist_ok=True)

DATABASES = {"default": database(env.secret("DATABASE_URL", default=sqlite_at(HOME_DIR / "marketspine.sqlite3")))}

# Payloads and vintage files are in Django's default storage: a folder, or a bucket with copies of its Parquet files here.
MARKETSPINE_ARCHIVE_DIR = env.folder("MARKETSPINE_ARCHIVE_DIR", default=HOME_DIR / "archive")
MARKETSPINE_STORAGE_URL = env.str("MARKETSPINE_STORAGE_URL", default="")
MARKETSPINE_CACHE_DIR = env.folder("MARKETSPINE_CACHE_DIR", default=HOME_DIR / "cache")
MARKETSPINE_CACHE_BYTES = env.at_least_one("MARKETSPINE_CACHE_BYTES", default=4 * 2**30, most=2**50)
STORAGES = storages(MARKETSPINE_STORAGE_URL, MARKETSPINE_ARCHIVE_DIR)

# The default folder of backups; the folder of pg_dump and pg_restore, empty for those on the PATH.
MARKETSPINE_BACKUP_DIR = env.folder("MARKETSPINE_BACKUP_DIR", default=HOME_DIR / "backup")
MARKETSPINE_PG_BIN = env.str("MARKETSPINE_PG_BIN", default="")

# Each check of the archive reads so many payloads whole, in turn.
MARKETSPINE_ARCHIVE_READS = env.at_least_one("MARKETSPINE_ARCHIVE_READS", default=200)

# The folder of the source `files`; its largest file, before and after decompression; the most lines of any payload. Reading
# a payload takes about four times its bytes of memory.
MARKETSPINE_SOURCE = env.str("MARKETSPINE_SOURCE", default="samples" if MARKETSPINE_DEMO else "files")
MARKETSPINE_SOURCE_DIR = env.folder("MARKETSPINE_SOURCE_DIR", default=HOME_DIR / "source")
MARKETSPINE_MAX_FILE_BYTES = env.at_least_one("MARKETSPINE_MAX_FILE_BYTES", default=256 * 1024 * 1024, most=2**40)
MARKETSPINE_MAX_ROWS = env.at_least_one("MARKETSPINE_MAX_ROWS", default=500_000)

# FINRA's API: https, and only these hosts (http on loopback, for trials). Without credentials it is asked anonymously. The
# rate holds for this machine or, with a broker, for the fleet; the connections are those of one partition.
MARKETSPINE_FINRA_API_URL = web(
    env.secret("MARKETSPINE_FINRA_API_URL", default="https://api.finra.org"), "MARKETSPINE_FINRA_API_URL"
)
MARKETSPINE_FINRA_TOKEN_URL = web(
    env.secret("MARKETSPINE_FINRA_TOKEN_URL", default="https://ews.fip.finra.org/fip/rest/ews/oauth2/access_token"),
    "MARKETSPINE_FINRA_TOKEN_URL",
)
MARKETSPINE_FINRA_HOSTS = env.hosts("MARKETSPINE_FINRA_HOSTS", default=["api.finra.org", "ews.fip.finra.org"])
MARKETSPINE_CONTACT = env.str("MARKETSPINE_CONTACT", default="")  # whom FINRA may write to: part of the User-Agent
FINRA_CLIENT_ID = env.secret("FINRA_CLIENT_ID", default="")
FINRA_CLIENT_SECRET = env.secret("FINRA_CLIENT_SECRET", default="")
MARKETSPINE_FINRA_REQUESTS_PER_SECOND = env.at_least_one("MARKETSPINE_FINRA_REQUESTS_PER_SECOND", default=20)
MARKETSPINE_FINRA_CONNECTIONS = env.at_least_one("MARKETSPINE_FINRA_CONNECTIONS", default=4, most=64)
MARKETSPINE_FINRA_REQUEST_SECONDS = env.at_least_one("MARKETSPINE_FINRA_REQUEST_SECONDS", default=120)

# Telling people (docs/notifications.md): this instance's name, its public address, and the only hosts of messages.
MARKETSPINE_INSTANCE = env.str("MARKETSPINE_INSTANCE", default="")
MARKETSPINE_URL = env.str("MARKETSPINE_URL", default="")
MARKETSPINE_URL = web(MARKETSPINE_URL, "MARKETSPINE_URL") if MARKETSPINE_URL else ""
MARKETSPINE_NOTIFY_HOSTS = env.hosts(
    "MARKETSPINE_NOTIFY_HOSTS", default=["hooks.slack.com", "events.pagerduty.com", "events.eu.pagerduty.com"]
)
MARKETSPINE_PAGERDUTY_URL = web(
    env.str("MARKETSPINE_PAGERDUTY_URL", default="https://events.pagerduty.com/v2/enqueue"), "MARKETSPINE_PAGERDUTY_URL"
)

# The mail server. Django's default has no time-out: a server that hangs would hold a worker for ever.
EMAIL_HOST = env.str("EMAIL_HOST", default="")
EMAIL_PORT = env.at_least_one("EMAIL_PORT", default=587, most=65535)
EMAIL_HOST_USER = env.str("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env.secret("EMAIL_HOST_PASSWORD", default="")
EMAIL_USE_TLS = env.bool("EMAIL_USE_TLS", default=True)
EMAIL_USE_SSL = env.bool("EMAIL_USE_SSL", default=False)
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="marketspine@localhost")

# The folder of releases, which `export release` writes and the API hands out; empty for none.
MARKETSPINE_RELEASES_DIR = env.str("MARKETSPINE_RELEASES_DIR", default="")

# A run looks so many weeks back; the doctor, the summary, the dashboard and the scheduled check watch the same weeks.
MARKETSPINE_LOOKBACK_WEEKS = env.at_least_one("MARKETSPINE_LOOKBACK_WEEKS", default=6, most=520)

# A payload with a larger share of rejected rows fails whole.
MARKETSPINE_MAX_REJECT_SHARE = env.share("MARKETSPINE_MAX_REJECT_SHARE", default=0.10)

# Plausibility (docs/plausibility.md): the share of rows from which a payload is another week's; the largest share of rows
# that a restatement touches; the bounds of a week's rows, and shares, against its neighbours' median; the halves of a
# partition that are always there.
MARKETSPINE_MAX_SAME_SHARE = env.share("MARKETSPINE_MAX_SAME_SHARE", default=0.20)
MARKETSPINE_MAX_RESTATED_SHARE = env.share("MARKETSPINE_MAX_RESTATED_SHARE", default=0.25)
MARKETSPINE_PLAUSIBLE_ROWS = env.bounds("MARKETSPINE_PLAUSIBLE_ROWS", default=(0.60, 1.65))
MARKETSPINE_PLAUSIBLE_SHARES = env.bounds("MARKETSPINE_PLAUSIBLE_SHARES", default=(0.25, 4.0))
MARKETSPINE_EXPECTED_PARTS = env.some_of("MARKETSPINE_EXPECTED_PARTS", {"ats", "non-ats"}, default=["ats"])

# A worker shows a sign of life every sixth of this; a silent one is taken to be dead, and its work is requeued.
MARKETSPINE_STALE_AFTER_SECONDS = env.at_least_one("MARKETSPINE_STALE_AFTER_SECONDS", default=30)

# A partition is tried so often, whether a passing error or a worker's death ended the try; the first repetition comes
# after so many seconds, each further one after twice as many.
MARKETSPINE_MAX_ATTEMPTS = env.at_least_one("MARKETSPINE_MAX_ATTEMPTS", default=4, most=100)
MARKETSPINE_RETRY_SECONDS = env.at_least_one("MARKETSPINE_RETRY_SECONDS", default=10)

# A source gets so long to deliver one partition. A task gets a little longer (soft limit), then its process is killed.
MARKETSPINE_FETCH_SECONDS = env.at_least_one("MARKETSPINE_FETCH_SECONDS", default=600)
CELERY_TASK_SOFT_TIME_LIMIT = env.at_least_one("MARKETSPINE_SOFT_LIMIT_SECONDS", default=900)
CELERY_TASK_TIME_LIMIT = env.at_least_one("MARKETSPINE_HARD_LIMIT_SECONDS", default=1200)

# A message that has not started after so many seconds is sent again. So many partitions of a run are in flight at most.
MARKETSPINE_RESEND_AFTER_SECONDS = env.at_least_one("MARKETSPINE_RESEND_AFTER_SECONDS", default=300)
MARKETSPINE_MAX_IN_FLIGHT = env.at_least_one("MARKETSPINE_MAX_IN_FLIGHT", default=30)

# So many partitions at most can be forced at once from the admin.
MARKETSPINE_MAX_FORCED = env.at_least_one("MARKETSPINE_MAX_FORCED", default=18)

# The cores that polars may use: the processes of a worker, or of the web, divide them, the threads of a process share them.
MARKETSPINE_CORES = env.at_least_one("MARKETSPINE_CORES", default=available(), most=1024)

# The embedded engine: a worker of so many threads in the process of the command, over a queue in memory.
MARKETSPINE_THREADS = env.at_least_one("MARKETSPINE_THREADS", default=2, most=64)

# The distributed engine, wherever there is a broker. docs/engine.md gives the reasons.
CELERY_BROKER_URL = broker(env.secret("CELERY_BROKER_URL", default=IN_PROCESS))
CELERY_RESULT_BACKEND = results_of(
    env.secret("CELERY_RESULT_BACKEND", default="django-db" if CELERY_BROKER_URL == IN_PROCESS else CELERY_BROKER_URL)
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
CELERY_TASK_ROUTES = {PROCESS_PARTITION: {"queue": "ingest"}, CLOSE_WEEK: {"queue": "calc"}}
CELERY_TASK_SERIALIZER = "json"
CELERY_RESULT_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_ACKS_LATE = True
# For an orchestrator that cannot wait for the longest task (REMAP_SIGTERM=SIGQUIT): tasks not done by then are cut.
CELERY_WORKER_SOFT_SHUTDOWN_TIMEOUT = env.at_least_zero("MARKETSPINE_SOFT_SHUTDOWN_SECONDS", default=0)
CELERY_TASK_REJECT_ON_WORKER_LOST = False  # attempts are counted in the ledger
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# A worker outlives its broker, however long that is away, and whatever errors it answers meanwhile.
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
CELERY_RESULT_EXPIRES = timedelta(days=1)
CELERY_BEAT_SCHEDULER = "pipeline.engine.beat:Scheduler"
CELERY_BEAT_SYNC_EVERY = 1  # what beat has sent is written at once, not after three minutes: operators look at it

# The API (docs/api.md): requests a minute and whole files an hour of a token or a user, and the most rows of a file. A fleet
# counts in its Redis. Tokens are of our own model: they have names, and expire.
MARKETSPINE_API_READS_PER_MINUTE = env.at_least_one("MARKETSPINE_API_READS_PER_MINUTE", default=600)
MARKETSPINE_API_EXPORTS_PER_HOUR = env.at_least_one("MARKETSPINE_API_EXPORTS_PER_HOUR", default=60)
MARKETSPINE_API_MAX_ROWS = env.at_least_one("MARKETSPINE_API_MAX_ROWS", default=2_000_000)
REST_FRAMEWORK, REST_KNOX, SPECTACULAR_SETTINGS = rest.FRAMEWORK, rest.KNOX, rest.SPECTACULAR
KNOX_TOKEN_MODEL = "pipeline.ApiToken"  # noqa: S105 # the name of a model
CACHES = {"default": cache_beside(CELERY_BROKER_URL)}

# Monitoring (docs/monitoring.md): the log, the alive files of worker and beat, the metrics.
MARKETSPINE_LOG_LEVEL = env.log_level("MARKETSPINE_LOG_LEVEL", default="WARNING")
MARKETSPINE_LOG_FORMAT = env.one_of("MARKETSPINE_LOG_FORMAT", logs.FORMATS, default=logs.PLAIN)
LOGGING = logs.configuration(MARKETSPINE_LOG_LEVEL, MARKETSPINE_LOG_FORMAT)
MARKETSPINE_RUN_DIR = env.folder("MARKETSPINE_RUN_DIR", default=HOME_DIR / "run")
MARKETSPINE_METRICS_TOKEN = env.secret("MARKETSPINE_METRICS_TOKEN", default="")
MARKETSPINE_PING_URL = env.secret("MARKETSPINE_PING_URL", default="")
if MARKETSPINE_PING_URL:
    web(MARKETSPINE_PING_URL, "MARKETSPINE_PING_URL")
MARKETSPINE_BACKUP = env.one_of("MARKETSPINE_BACKUP", ("expected", "elsewhere"), default="elsewhere")

SECRETS = logs.maskable(env.secrets | {MARKETSPINE_PING_URL})
READ_FROM_ENVIRONMENT = frozenset(env.names)
