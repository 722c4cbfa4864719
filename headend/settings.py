"""Django settings, read from the environment.

Importing this module reads environment variables, and the files that ``…_FILE`` variables name. It creates no folder
and no secret, and calls no service. ``docs/engineers.md`` has the table of the variables.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import django_stubs_ext
from django.core.exceptions import ImproperlyConfigured

from exports import schedule as exports_schedule
from headend import __version__
from headend.config import api_settings, service_urls, sftp_limits, signing_keys, web_limits
from headend.config import environment as env
from headend.config.draining import drain_seconds
from headend.config.logs import logging_settings
from headend.config.program import BASE_DIR, is_source_tree
from readings import schedule as readings_schedule
from readings.engines import ENGINES, engine_of
from readings.simulation import town

# Makes Django's generic classes subscriptable at run time, for type hints such as ModelAdmin[Supplier].
django_stubs_ext.monkeypatch()

# --- state ------------------------------------------------------------------------------
# Python's folder of installed packages must not contain the state of a deployment.
HEADEND_HOME = env.folder(
    "HEADEND_HOME", (BASE_DIR if is_source_tree(BASE_DIR) else Path.cwd()) / "var"
)
_home = env.quoted(HEADEND_HOME)
SECRETS_URL = env.url("SECRETS_URL", f"file://{_home}/secrets", ["file", "secretsmanager"])
_secrets_prefix, SECRETS = service_urls.secrets_store(SECRETS_URL, HEADEND_HOME)

# --- addresses --------------------------------------------------------------------------
HEADEND_COMPATIBILITY = env.choice("HEADEND_COMPATIBILITY", "none", ["none", "aws"])
# AWS's own clients need other defaults. A setting that is set explicitly has priority.
_for_aws = HEADEND_COMPATIBILITY == "aws"
HEADEND_HOST = env.text("HEADEND_HOST", "127.0.0.1").removeprefix("[").removesuffix("]")
HEADEND_PORT = env.integer("HEADEND_PORT", 8000, minimum=1, maximum=65535)
SFTP_PORT = env.integer("SFTP_PORT", 22 if _for_aws else 2222, minimum=1, maximum=65535)
HEADEND_PUBLIC_URL = env.url(
    "HEADEND_PUBLIC_URL", f"http://localhost:{HEADEND_PORT}", ["http", "https"]
).rstrip("/")
SFTP_LEGACY_ALGORITHMS = env.boolean("SFTP_LEGACY_ALGORITHMS", default=False)
SFTP_PUBLIC_HOST = env.text("SFTP_PUBLIC_HOST", "localhost")
SFTP_LIMITS = sftp_limits.from_environment()
# gunicorn and the processes that drain read these settings again. Read here, a wrong one is refused by every command.
WEB_LIMITS = web_limits.from_environment()
HEADEND_DRAIN_SECONDS = drain_seconds()
_stack_name = env.text("HEADEND_STACK_NAME", "headend")
SECRETS_PREFIX = _secrets_prefix or _stack_name

_public = urlsplit(HEADEND_PUBLIC_URL)
# Django adds the path of the public URL to every link.
FORCE_SCRIPT_NAME = _public.path or None
ALLOWED_HOSTS = env.comma_separated(
    "HEADEND_ALLOWED_HOSTS", ["localhost", "127.0.0.1", "[::1]", _public.hostname or "localhost"]
)

# --- security ---------------------------------------------------------------------------
DEBUG = False
HEADEND_SECRET_KEY = env.text("HEADEND_SECRET_KEY", "")
SECRET_KEY = HEADEND_SECRET_KEY or signing_keys.stored_key(SECRETS)
# Sessions and links that were signed before a rotation of the key stay valid.
SECRET_KEY_FALLBACKS = [env.text("HEADEND_OLD_SECRET_KEY", "") or signing_keys.old_key(SECRETS)]
_https = _public.scheme == "https"
SECURE_SSL_REDIRECT = _https
# Only these proxies may report the caller in X-Forwarded-* headers. With https://, a proxy normally runs on this host.
HEADEND_TRUSTED_PROXIES = env.networks(
    "HEADEND_TRUSTED_PROXIES", ["127.0.0.0/8", "::1"] if _https else []
)
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
_hsts = env.choice("HEADEND_HSTS", "host", ["host", "subdomains", "preload"])
SECURE_HSTS_INCLUDE_SUBDOMAINS = _hsts != "host"
SECURE_HSTS_PRELOAD = _hsts == "preload"
SESSION_COOKIE_SECURE = _https
CSRF_COOKIE_SECURE = _https
CSRF_TRUSTED_ORIGINS = [f"{_public.scheme}://{_public.netloc}"]
X_FRAME_OPTIONS = "DENY"
# HEADEND_HSTS decides about other hosts of the domain.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
if not _https and _public.hostname in {"localhost", "127.0.0.1", "::1"}:
    # The loopback interface needs no TLS. Any other address without TLS causes these warnings.
    SILENCED_SYSTEM_CHECKS += [f"security.W{number:03}" for number in (4, 8, 10, 16)]

# --- the application --------------------------------------------------------------------
INSTALLED_APPS = [
    "headend",
    "readings",
    "exports",
    "headend.apps.HeadendAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_htmx",
    "headend.apps.LoginAttemptsConfig",
]
MIDDLEWARE = [
    "headend.trace.TraceMiddleware",
    "headend.http.access_log.AccessLogMiddleware",
    "headend.http.request_deadline.RequestDeadlineMiddleware",
    "headend.http.running_downloads.RunningDownloadsMiddleware",
    "headend.http.health_probes.HealthProbeMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "headend.http.content_security.ContentSecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "headend.portal.api_calls.ApiCallMiddleware",
    "headend.portal.unavailable.AvailableSessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "headend.http.malformed_requests.MalformedRequestMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    # After all others: it replaces the response to a refused login.
    "axes.middleware.AxesMiddleware",
    "headend.portal.unavailable.UnavailableMiddleware",
]
ROOT_URLCONF = "headend.urls"
WSGI_APPLICATION = "headend.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # headend/templates is a link to templates: APP_DIRS finds it, also in an installed package.
        "DIRS": [],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "overview"
LOGOUT_REDIRECT_URL = "login"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]
# The handler has the limits, and the pauses that grow with the failures.
AXES_HANDLER = "headend.portal.login_throttle.LoginThrottle"
AXES_CLIENT_IP_CALLABLE = "headend.portal.login_throttle.throttled_address"
AXES_LOCK_OUT_AT_FAILURE = False
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
# Failures are forgotten after this time, and those of one user name at one address after a login.
AXES_COOLOFF_TIME = timedelta(days=1)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "headend.portal.error_pages.locked_out"
AXES_VERBOSE = False
LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = "headend.config.date_formats"
CSRF_FAILURE_VIEW = "headend.portal.error_pages.csrf_failure"
STATIC_URL = "static/"
STATIC_ROOT = env.folder("HEADEND_STATIC_ROOT", HEADEND_HOME / "static")
STATICFILES_DIRS = [BASE_DIR / "headend" / "portal" / "static"]
WHITENOISE_KEEP_ONLY_HASHED_FILES = True  # pages use only these; the others would double the space
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- the database -----------------------------------------------------------------------
DATABASE_URL = env.url(
    "DATABASE_URL", f"sqlite:///{_home}/headend.sqlite3", ["sqlite", "postgres", "postgresql"]
)
DATABASES = {"default": service_urls.database(DATABASE_URL)}

# --- readings ---------------------------------------------------------------------------
READINGS_URL = env.url("READINGS_URL", f"delta://{_home}/readings", [*ENGINES])
READINGS_RETENTION_DAYS = env.integer("READINGS_RETENTION_DAYS", 0, minimum=0, maximum=36_500)

SIMULATION = env.boolean("SIMULATION", default=True)
SIMULATION_SEED = env.integer("SIMULATION_SEED", 0, minimum=0, maximum=2**63 - 1)
SIMULATION_INTERVAL = env.integer("SIMULATION_INTERVAL", 5, minimum=1, maximum=1440)
SIMULATION_DEVICES = env.integer("SIMULATION_DEVICES", 50_000, minimum=1, maximum=100_000_000)
SIMULATION_DEVICES_PER_BATCH = env.integer(
    "SIMULATION_DEVICES_PER_BATCH", 10_000, minimum=1, maximum=100_000_000
)
SIMULATION_VOLTAGE = env.number("SIMULATION_VOLTAGE", 220, minimum=1, maximum=1_000_000)
SIMULATION_MINIMUM_LOAD = env.number("SIMULATION_MINIMUM_LOAD", 5, minimum=0, maximum=1_000_000)
SIMULATION_MAXIMUM_LOAD = env.number("SIMULATION_MAXIMUM_LOAD", 20, minimum=0, maximum=1_000_000)
SIMULATION_LATE_ARRIVALS = env.boolean("SIMULATION_LATE_ARRIVALS", default=False)
SIMULATION_LATE_PERCENT = env.number("SIMULATION_LATE_PERCENT", 10, minimum=0, maximum=100)
SIMULATION_LATE_MINUTES = env.integer("SIMULATION_LATE_MINUTES", 1440, minimum=1, maximum=525_600)
# Without this setting, the fleet keeps the profile that it has had so far (readings.ingest.fleet_profile).
SIMULATION_PROFILE = env.text("SIMULATION_PROFILE", "") and env.choice(
    "SIMULATION_PROFILE", "mixed", town.PROFILES
)
# A system check verifies the delivery, the shares and the time zone.
SIMULATION_DELIVERY = env.text("SIMULATION_DELIVERY", "off")
SIMULATION_SHARES = env.text("SIMULATION_SHARES", town.DEFAULT_SHARES)
SIMULATION_TIMEZONE = env.text("SIMULATION_TIMEZONE", town.DEFAULT_TIMEZONE)
SIMULATION_LATITUDE = env.number(
    "SIMULATION_LATITUDE", town.DEFAULT_LATITUDE, minimum=-65, maximum=65
)
if SIMULATION_MINIMUM_LOAD > SIMULATION_MAXIMUM_LOAD:
    raise ImproperlyConfigured("SIMULATION_MINIMUM_LOAD is greater than SIMULATION_MAXIMUM_LOAD.")
if 1440 % SIMULATION_INTERVAL:
    raise ImproperlyConfigured(
        f"SIMULATION_INTERVAL is {SIMULATION_INTERVAL};"
        " it must be a number of minutes that divides a day (1440)."
    )

# --- exports ----------------------------------------------------------------------------
EXPORTS_URL = env.url("EXPORTS_URL", f"file://{_home}/exports", ["file", "s3"])
EXPORTS_EMPTY_STATUS = env.choice(
    "EXPORTS_EMPTY_STATUS", "skipped" if _for_aws else "completed", ["completed", "skipped"]
)
EXPORTS_RETENTION_DAYS = env.integer("EXPORTS_RETENTION_DAYS", 30, minimum=0, maximum=36_500)
EXPORTS_RUNNING_PER_SUPPLIER = env.integer(
    "EXPORTS_RUNNING_PER_SUPPLIER", 4, minimum=1, maximum=10_000
)
EXPORTS_QUEUED_PER_SUPPLIER = env.integer(
    "EXPORTS_QUEUED_PER_SUPPLIER", 500, minimum=1, maximum=10**6
)
EXPORTS_ATTEMPTS = env.integer("EXPORTS_ATTEMPTS", 6, minimum=1, maximum=1000)
EXPORTS_LEASE_SECONDS = env.integer("EXPORTS_LEASE_SECONDS", 30, minimum=5, maximum=3600)
EXPORTS_PART_SECONDS = env.integer("EXPORTS_PART_SECONDS", 600, minimum=10, maximum=86_400)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "exports": service_urls.exports_storage(EXPORTS_URL),
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}
WEBHOOK_PRIVATE_ADDRESSES = env.boolean("WEBHOOK_PRIVATE_ADDRESSES", default=False)
DEFAULT_SUPPLIER = "sftp-user"
HEADEND_ANONYMOUS_SUPPLIER = env.text(
    "HEADEND_ANONYMOUS_SUPPLIER", DEFAULT_SUPPLIER if _for_aws else ""
)

# --- the API ----------------------------------------------------------------------------
BODY_LIMIT = DATA_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024  # about 50,000 device ids
API_BODY_LIMIT = 64 * 1024
REST_FRAMEWORK = api_settings.REST_FRAMEWORK
SPECTACULAR_SETTINGS = api_settings.openapi(HEADEND_PUBLIC_URL, __version__)

# --- Celery -----------------------------------------------------------------------------
_broker_url = env.url(
    "CELERY_BROKER_URL", "filesystem://", ["filesystem", "redis", "rediss", "sqs"]
)
CELERY_BROKER_URL, CELERY_BROKER_TRANSPORT_OPTIONS = service_urls.broker(_broker_url, HEADEND_HOME)
# Without these two, Celery would use the environment variable CELERY_BROKER_URL instead of this setting.
CELERY_BROKER_READ_URL = CELERY_BROKER_WRITE_URL = CELERY_BROKER_URL
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "exports"
CELERY_TASK_ROUTES = {
    "readings.tasks.*": {"queue": "readings"},
    "exports.tasks.deliver": {"queue": "deliveries"},
}
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Otherwise Celery would turn beat's log stream into logs again, and every line of beat would be lost.
CELERY_WORKER_REDIRECT_STDOUTS = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_PUBLISH_RETRY = False
CELERY_BEAT_SCHEDULE = exports_schedule.BEAT_SCHEDULE | readings_schedule.beat_schedule(
    simulation=SIMULATION,
    counts_for_free=engine_of(READINGS_URL).capabilities.counts_for_free,
)

# --- folders ----------------------------------------------------------------------------
# `manage.py setup` creates them; a system check reports those that cannot be used.
FOLDERS = service_urls.folders(
    HEADEND_HOME,
    {
        "SECRETS_URL": SECRETS_URL,
        "READINGS_URL": READINGS_URL,
        "EXPORTS_URL": EXPORTS_URL,
        "CELERY_BROKER_URL": _broker_url,
    },
)

# --- metrics ----------------------------------------------------------------------------
METRICS_TOKEN = env.text("METRICS_TOKEN", "")
SFTP_METRICS_PORT = env.integer("SFTP_METRICS_PORT", 0, minimum=0, maximum=65535)

# --- logs -------------------------------------------------------------------------------
LOG_LEVEL = env.choice("LOG_LEVEL", "INFO", ["DEBUG", "INFO", "WARNING", "ERROR"])
LOGGING = logging_settings(LOG_LEVEL)
