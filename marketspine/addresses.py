"""The addresses of servers (database, broker, FINRA, ...): read whole, or refused.

A message names the wrong part, and never shows it: any part may hold a piece of a password, whose `/` or `?` was taken
for the end of the part before it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

from marketspine.environment import BASE_DIR, BOOLEANS, Misconfigured, is_host

IN_PROCESS = "memory://"
SOCKET = "redis+socket"  # the scheme in kombu
DEFAULT_PORT = 5432
HIGHEST_PORT = 65535
LONGEST_NAME = 63  # bytes: PostgreSQL cuts a longer one

URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)(/[^?#]*)?(?:\?([^#]*))?(#.*)?", re.DOTALL)
PLACE = re.compile(r"(\[[^\]]*\]|[^:\[\]]*)(?::(.*))?")
PORT = re.compile(r"[0-9]{1,5}")
BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
ENCODE = (
    "within a user, a password or a name, write / as %2F, ? as %3F, # as %23, @ as %40, [ as %5B, ] as %5D and % as %25"
)

SQLITE_OPTIONS = {
    "transaction_mode": "IMMEDIATE",
    "timeout": 20,
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
}
DIGITS, ANYTHING = "[0-9]{1,9}", ".+"
POSTGRESQL_OPTIONS = {
    "sslmode": "disable|allow|prefer|require|verify-ca|verify-full",
    "channel_binding": "disable|prefer|require",
    "gssencmode": "disable|prefer|require",
    "sslnegotiation": "postgres|direct",
    "ssl_min_protocol_version": r"TLSv1(\.[123])?",
    "load_balance_hosts": "disable|random",
    "target_session_attrs": "any|read-write|read-only|primary|standby|prefer-standby",
    "keepalives": "0|1",
    **dict.fromkeys(("connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count"), DIGITS),
    **dict.fromkeys(("tcp_user_timeout",), DIGITS),
    **dict.fromkeys(("sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir", "passfile"), ANYTHING),
    **dict.fromkeys(("application_name", "options", "krbsrvname", "require_auth"), ANYTHING),
    "host": r"/.*|[A-Za-z0-9_.:-]+",  # a folder is that of a Unix socket
    "port": DIGITS,
}
TLS_FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
TLS_OPTIONS = {
    "ssl_cert_reqs": "(?i:(cert_)?(none|optional|required))",
    "ssl_check_hostname": f"(?i:{'|'.join(BOOLEANS)})",
    **dict.fromkeys(TLS_FILES, ANYTHING),
}
BROKER_OPTIONS: dict[str, dict[str, str]] = {
    "redis": {},
    "rediss": TLS_OPTIONS,
    SOCKET: {"virtual_host": "[0-9]{1,4}"},
}


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a URL; `user`, `password`, `path` and the options' values are decoded."""

    name: str
    scheme: str
    credentials: str
    places: tuple[tuple[str, str], ...]
    path: str
    options: Mapping[str, str]

    @property
    def user(self) -> str:
        """The user's name."""
        return self.decoded(self.credentials.partition(":")[0])

    @property
    def password(self) -> str:
        """The password; empty without one."""
        return self.decoded(self.credentials.partition(":")[2])

    def decoded(self, text: str) -> str:
        """A part with its percent escapes decoded; Misconfigured where they are no UTF-8."""
        return _decoded(self.name, text)

    def refused(self, problem: str) -> Misconfigured:
        """The error to raise."""
        return Misconfigured(f"{self.name}: {problem}")


def parse(name: str, url: str, known: Mapping[str, Mapping[str, str]]) -> Address:
    """The parts of `url`; `known` has the schemes, and for each its options with the pattern of their values."""
    examples = ", ".join(f"{scheme}://..." for scheme in known)
    matched = URL.fullmatch(url)
    if matched is None:
        raise Misconfigured(f"{name} is no address: it begins with none of {examples}")
    scheme, authority, path, query, fragment = matched.groups(default="")
    if (scheme := scheme.lower()) not in known:
        raise Misconfigured(f"{name}: {scheme!r} is not supported; use {examples}")
    if fragment or "@" in path + query or any(character.isspace() or character in "\"'\\" for character in url):
        raise Misconfigured(
            f"{name}: a character stands where it cannot (a blank, a quote, a # or an @ after a / or ?): {ENCODE}"
        )
    credentials, _, places = authority.rpartition("@")
    if not authority.isascii() or set("[]") & set(credentials):
        raise Misconfigured(
            f"{name}: the user or the password holds a character that cannot stand in an address: {ENCODE}"
        )
    return Address(
        name, scheme, credentials, _places(name, places), _decoded(name, path), _options(name, query, known[scheme])
    )


def _places(name: str, text: str) -> tuple[tuple[str, str], ...]:
    """Hosts with their ports: "h1:5432,h2" has two."""
    return tuple(_place(name, place) for place in text.split(",")) if text else ()


def _place(name: str, text: str) -> tuple[str, str]:
    matched = PLACE.fullmatch(text)
    host, port = (_decoded(name, matched[1]), matched[2]) if matched else ("", None)
    if not (is_host(host) or host.startswith("/")):
        raise Misconfigured(f"{name}: its host is no host name; an IPv6 address stands in brackets; {ENCODE}")
    if port is not None and not (PORT.fullmatch(port) and 1 <= int(port) <= HIGHEST_PORT):
        raise Misconfigured(f"{name}: its port is not a number from 1 to {HIGHEST_PORT}; {ENCODE}")
    return host, port or ""


def _options(name: str, query: str, known: Mapping[str, str]) -> dict[str, str]:
    """The options after the question mark."""
    found: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        key, equals, text = pair.partition("=")
        value = _decoded(name, text)
        if not equals or key not in known:
            raise Misconfigured(
                f"{name}: it has an option that is not known; known are {', '.join(sorted(known)) or 'none'}"
            )
        if key in found or not re.fullmatch(known[key], value):
            raise Misconfigured(f"{name}: its option {key} is given twice, or has a value that it cannot have")
        found[key] = value
    return found


def _decoded(name: str, text: str) -> str:
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError:
        decoded = "\0"
    if BAD_ESCAPE.search(text) or not decoded.isprintable():
        raise Misconfigured(f"{name}: a % is not followed by two hexadecimal digits of UTF-8 text: {ENCODE}")
    return decoded


def sqlite_at(path: Path) -> str:
    """The URL of a SQLite file, whatever characters its path has."""
    return f"sqlite:///{quote(f'{path}')}"


def database(url: str, name: str = "DATABASE_URL") -> dict[str, Any]:
    """Django's DATABASES entry for `url`.

    A SQLite transaction that reads and then writes fails with "database is locked" under DEFERRED; IMMEDIATE queues it.
    """
    if url in ("sqlite://:memory:", "sqlite:///:memory:"):
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "OPTIONS": dict(SQLITE_OPTIONS)}
    known: dict[str, Mapping[str, str]] = {
        "sqlite": {},
        "postgresql": POSTGRESQL_OPTIONS,
        "postgres": POSTGRESQL_OPTIONS,
    }
    address = parse(name, url, known)
    return _sqlite(address) if address.scheme == "sqlite" else _postgresql(address)


def _sqlite(address: Address) -> dict[str, Any]:
    """A relative path is below the project's folder."""
    if address.places or address.credentials or address.path in ("", "/"):
        raise address.refused("write sqlite:///var/x.sqlite3 (below the project) or sqlite:////absolute/x.sqlite3")
    path = Path(os.path.normpath(BASE_DIR / address.path.removeprefix("/")))
    if address.path.endswith("/") or path.is_dir():
        raise address.refused(f"{path} is a folder: name a file")
    return {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{path}", "OPTIONS": dict(SQLITE_OPTIONS)}


def _postgresql(address: Address) -> dict[str, Any]:
    options = dict(address.options)
    database_name = address.path.removeprefix("/")
    if not database_name or "/" in database_name or len(database_name.encode()) > LONGEST_NAME:
        raise address.refused("it ends in no database's name: postgresql://user:password@host:5432/name")
    hosts = [host.strip("[]") for host, _ in address.places]
    ports = [port for _, port in address.places]
    if address.places and {"host", "port"} & set(options):
        raise address.refused("it names its host before the name and after the ?: once will do")
    if not address.places:
        hosts, ports = [options.pop("host", "")], [options.pop("port", "")]
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": database_name,
        "USER": address.user,
        "PASSWORD": address.password,
        "HOST": ",".join(hosts),
        "PORT": ",".join(port or f"{DEFAULT_PORT}" for port in ports) if any(ports) else "",
        "CONN_HEALTH_CHECKS": True,  # a kept connection that the server has ended is made anew, without a restart
        "OPTIONS": options,
    }


def broker(url: str, name: str = "CELERY_BROKER_URL") -> str:
    """The URL of the one Redis that is the broker, as Celery and redis-py both read it; or IN_PROCESS.

    Celery verifies the certificate of a `rediss://` only if the URL asks for it; here it is verified unless the URL says
    otherwise.
    """
    if url == IN_PROCESS:
        return url
    if ";" in url:
        raise Misconfigured(f"{name} names several servers: the broker is one Redis; within a password write ; as %3B")
    address = parse(name, url, BROKER_OPTIONS)
    is_socket = address.scheme == SOCKET
    if is_socket and (address.places or address.path in ("", "/")):
        raise address.refused("write redis+socket:///path/of/the/socket?virtual_host=0")
    if not is_socket and (len(address.places) != 1 or address.places[0][0].startswith("/")):
        raise address.refused(f"it names no host: {address.scheme}://:password@host:6379/0; {ENCODE}")
    if not is_socket and not re.fullmatch("(/([0-9]{1,4})?)?", address.path):
        raise address.refused(f"its database is not a number: {address.scheme}://:password@host:6379/0; {ENCODE}")
    options = _verified(address) if address.scheme == "rediss" else dict(address.options)
    plain = url.partition("?")[0].partition("://")[2]
    return f"{address.scheme}://{plain}{'?' if options else ''}{urlencode(options)}"


def for_redis_py(broker_url: str) -> str:
    """The broker's URL for redis-py: kombu's `redis+socket://...?virtual_host=3` is its `unix://...?db=3`."""
    url = urlsplit(broker_url)
    if url.scheme != SOCKET:
        return broker_url
    number = parse_qs(url.query).get("virtual_host", ["0"])[0]
    return f"unix://{url.path}?db={number}"


def _verified(address: Address) -> dict[str, str]:
    """The options of TLS; unless they say otherwise, the server's certificate is required."""
    options = {"ssl_cert_reqs": "required", **address.options}
    options["ssl_cert_reqs"] = options["ssl_cert_reqs"].lower().removeprefix("cert_")
    if "ssl_check_hostname" in options:
        options["ssl_check_hostname"] = f"{BOOLEANS[options['ssl_check_hostname'].lower()]}".lower()
    for option in TLS_FILES:
        if option in options:
            path = BASE_DIR / options[option]
            if not path.is_file():
                raise address.refused(f"its option {option} names no file: {path}")
            options[option] = f"{path}"
    return options


def results_of(url: str, name: str = "CELERY_RESULT_BACKEND") -> str:
    """Celery's result backend for `url`: the database, or the Redis backend that does not listen (`marketspine.results`)."""
    if url == "django-db":
        return url
    if not url.lower().startswith(tuple(f"{scheme}:" for scheme in BROKER_OPTIONS)):
        raise Misconfigured(
            f"{name}: use django-db, redis://..., rediss://... or redis+socket://..., which all can share"
        )
    redis = broker(url, name)
    if redis.startswith("redis+socket:"):
        redis = redis.removeprefix("redis+")
    return f"marketspine.results:Counters+{redis}"


def origins(text: str, hosts: Collection[str], name: str = "CSRF_TRUSTED_ORIGINS") -> list[str]:
    """The origins from which a browser may send forms: https on each host, and those in `text` (another port, say)."""
    named = [origin.strip() for origin in text.split(",")] if text else []
    for origin in named:
        address = parse(name, origin.replace("://*.", "://", 1), {"https": {}, "http": {}})
        if len(address.places) != 1 or address.path or address.options or address.credentials:
            raise address.refused("write scheme, host and port, with commas between two: https://spine.example:8443")
    own = [f"https://{host.removeprefix('.')}" for host in hosts if host != "*"]
    below = [f"https://*{host}" for host in hosts if host.startswith(".")]
    return [*own, *below, *named]


def web(url: str, name: str) -> str:
    """An address that is asked over HTTP; which hosts may be asked is `pipeline.checks`' to say."""
    address = parse(name, url, {"https": {}, "http": {}})
    if address.credentials:
        raise address.refused("a user name or a password stands in it: use FINRA_CLIENT_ID and FINRA_CLIENT_SECRET")
    if len(address.places) != 1 or address.places[0][0].startswith("/"):
        raise address.refused("it names no host: https://host/path")
    return url
