"""What the environment says is read whole, or ends the process: the variable's name, what was written, what would do."""

from __future__ import annotations

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured

from marketspine.environment import Misconfigured
from tests.support import warm
from tests.support.engines import Engines

BASE = configured.BASE_DIR
OURS = ("MARKETSPINE_", "CELERY_", "FINRA_")
SINGLE = ("DATABASE_URL", "SECRET_KEY", "ALLOWED_HOSTS", "DEBUG")
ENCODE = "within a user, a password or a name, write / as %2F"


def clean(variables: dict[str, str]) -> dict[str, str]:
    """The environment without settings, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith((*OURS, *SINGLE))}
    return kept | variables


def read(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> dict[str, Any]:
    """The settings that a process with these variables has; Misconfigured."""
    monkeypatch.setattr(os, "environ", clean(variables))
    monkeypatch.setattr("marketspine.environment.Environment.__init__.__defaults__", (os.environ, BASE))
    return runpy.run_path(str(BASE / "marketspine" / "settings.py"))


BOOLEAN = "write true or false"
NUMBER = "write a whole number from 1 to "
SHARE = "write a share from 0 to 1"
UNSEEN = "holds a character that cannot be seen"
EMPTY = "is set, and is empty"
HOSTS = "write host names with commas between them"
STRANGE = "a character stands where it cannot"
PORT = "its port is not a number from 1 to 65535"
REFUSED = [
    # Booleans
    ("MARKETSPINE_HTTPS", '"true"', BOOLEAN),
    ("MARKETSPINE_HTTPS", "'true'", BOOLEAN),
    ("MARKETSPINE_HTTPS", "enabled", BOOLEAN),
    ("MARKETSPINE_HTTPS", "true # behind the proxy", BOOLEAN),
    ("MARKETSPINE_HTTPS", "t", BOOLEAN),
    ("MARKETSPINE_HTTPS", "2", BOOLEAN),
    ("MARKETSPINE_HTTPS", "$HTTPS", BOOLEAN),
    ("MARKETSPINE_HTTPS", "none", BOOLEAN),
    ("MARKETSPINE_HTTPS", "", EMPTY),
    ("MARKETSPINE_HTTPS", "true\r", UNSEEN),
    ("DEBUG", "flase", BOOLEAN),
    ("DEBUG", " true", "remove the blanks around it"),
    # Whole numbers
    ("MARKETSPINE_MAX_FILE_BYTES", "abc", NUMBER),
    ("MARKETSPINE_MAX_FILE_BYTES", "512MiB", NUMBER),
    ("MARKETSPINE_MAX_FILE_BYTES", "0", NUMBER),
    ("MARKETSPINE_MAX_FILE_BYTES", "-1", NUMBER),
    ("MARKETSPINE_MAX_FILE_BYTES", "+1", NUMBER),
    ("MARKETSPINE_MAX_FILE_BYTES", "1e9", NUMBER),
    ("MARKETSPINE_MAX_FILE_BYTES", "1_000", NUMBER),
    ("MARKETSPINE_MAX_FILE_BYTES", "1,000", NUMBER),
    ("MARKETSPINE_MAX_FILE_BYTES", "1.0", NUMBER),
    ("MARKETSPINE_MAX_FILE_BYTES", "0x10", NUMBER),
    ("MARKETSPINE_MAX_FILE_BYTES", "9" * 30, NUMBER),
    ("MARKETSPINE_MAX_FILE_BYTES", "\u0661\u0662", NUMBER),  # Arabic digits
    ("MARKETSPINE_MAX_FILE_BYTES", "\uff11", NUMBER),  # a wide 1
    ("MARKETSPINE_FETCH_SECONDS", "10s", NUMBER),
    ("MARKETSPINE_FETCH_SECONDS", "99999999999999999999", NUMBER),
    ("MARKETSPINE_FETCH_SECONDS", "inf", NUMBER),
    ("MARKETSPINE_FETCH_SECONDS", "", EMPTY),
    ("MARKETSPINE_FETCH_SECONDS", "600 ", "remove the blanks around it"),
    ("MARKETSPINE_CORES", "0", f"{NUMBER}1024"),
    ("MARKETSPINE_THREADS", "1000000", f"{NUMBER}64"),
    ("MARKETSPINE_THREADS", '"2"', NUMBER),
    # Shares
    ("MARKETSPINE_MAX_REJECT_SHARE", "0.3%", SHARE),
    ("MARKETSPINE_MAX_REJECT_SHARE", "10%", SHARE),
    ("MARKETSPINE_MAX_REJECT_SHARE", "0.1 # 10 %", SHARE),
    ("MARKETSPINE_MAX_REJECT_SHARE", "0,1", SHARE),
    ("MARKETSPINE_MAX_REJECT_SHARE", "1.5", SHARE),
    ("MARKETSPINE_MAX_REJECT_SHARE", "10", SHARE),
    ("MARKETSPINE_MAX_REJECT_SHARE", "-0.1", SHARE),
    ("MARKETSPINE_MAX_REJECT_SHARE", "1e-1", SHARE),
    ("MARKETSPINE_MAX_REJECT_SHARE", "nan", SHARE),
    ("MARKETSPINE_MAX_REJECT_SHARE", "inf", SHARE),
    ("MARKETSPINE_MAX_REJECT_SHARE", "few", SHARE),
    ("MARKETSPINE_MAX_REJECT_SHARE", "1/10", SHARE),
    ("MARKETSPINE_MAX_REJECT_SHARE", "", EMPTY),
    # Hosts
    ("ALLOWED_HOSTS", "https://spine.example", HOSTS),
    ("ALLOWED_HOSTS", "spine.example:8443", HOSTS),
    ("ALLOWED_HOSTS", "spine.example/admin", HOSTS),
    ("ALLOWED_HOSTS", "a;b", HOSTS),
    ("ALLOWED_HOSTS", "a b", HOSTS),
    ("ALLOWED_HOSTS", "a,,b", HOSTS),
    ("ALLOWED_HOSTS", "a,b,", HOSTS),
    ("ALLOWED_HOSTS", '["a","b"]', HOSTS),
    ("ALLOWED_HOSTS", "::1", HOSTS),
    ("ALLOWED_HOSTS", "*.example.com", HOSTS),
    ("ALLOWED_HOSTS", "$HOST", HOSTS),
    ("ALLOWED_HOSTS", "", EMPTY),
    ("MARKETSPINE_FINRA_HOSTS", "*", HOSTS),
    ("MARKETSPINE_FINRA_HOSTS", ".finra.org", HOSTS),
    # Levels
    ("MARKETSPINE_LOG_LEVEL", "loud", "write one of DEBUG, INFO, WARNING, ERROR, CRITICAL"),
    ("MARKETSPINE_LOG_LEVEL", "20", "write one of DEBUG"),
    ("MARKETSPINE_LOG_LEVEL", "INFO,DEBUG", "write one of DEBUG"),
    ("MARKETSPINE_LOG_LEVEL", "", EMPTY),
    # Folders
    ("MARKETSPINE_ARCHIVE_DIR", "", EMPTY),
    ("MARKETSPINE_ARCHIVE_DIR", "~/archive", "write the folder's path in full"),
    ("MARKETSPINE_ARCHIVE_DIR", "$HOME/archive", "write the folder's path in full"),
    ("MARKETSPINE_ARCHIVE_DIR", '"/srv/archive"', "write the folder's path in full"),
    ("MARKETSPINE_ARCHIVE_DIR", "/srv/archive ", "remove the blanks around it"),
    ("MARKETSPINE_ARCHIVE_DIR", "/srv/archive\n", UNSEEN),
    ("MARKETSPINE_ARCHIVE_DIR", "/srv/\udcfc", UNSEEN),  # a byte that is not UTF-8
    ("MARKETSPINE_ARCHIVE_DIR", "README.md", "is there, and is not a folder"),
    ("MARKETSPINE_SOURCE_DIR", "README.md/source", "is there, and is not a folder"),
    ("MARKETSPINE_SOURCE", "", EMPTY),
]
SECRET = "s3cr"
REFUSED_UNSHOWN = [
    ("SECRET_KEY", "", EMPTY),
    ("SECRET_KEY", "s3cret\nkey", UNSEEN),
    ("SECRET_KEY", "\ufeffs3cret", UNSEEN),
    ("FINRA_CLIENT_SECRET", "s3cret\r", UNSEEN),
    ("MARKETSPINE_FINRA_API_URL", "https://me:s3cret@api.finra.org", "a user name or a password stands in it"),
    # FINRA's addresses
    ("MARKETSPINE_FINRA_API_URL", "api.finra.org", "it begins with none of https://..., http://..."),
    ("MARKETSPINE_FINRA_API_URL", "ftp://api.finra.org", "'ftp' is not supported"),
    ("MARKETSPINE_FINRA_API_URL", "https://api.finra.org:99999", PORT),
    ("MARKETSPINE_FINRA_API_URL", "https://", "names no host"),
    ("MARKETSPINE_FINRA_API_URL", "https://api.finra.org/a b", STRANGE),
    ("MARKETSPINE_FINRA_API_URL", "", EMPTY),
    # Origins
    ("CSRF_TRUSTED_ORIGINS", "spine.example:8443", "it begins with none of https://..., http://..."),
    ("CSRF_TRUSTED_ORIGINS", "https://spine.example:8443/admin", "write scheme, host and port"),
    ("CSRF_TRUSTED_ORIGINS", "https://spine.example:84430", PORT),
    ("CSRF_TRUSTED_ORIGINS", "https://a https://b", STRANGE),
    # The database
    ("DATABASE_URL", "", EMPTY),
    ("DATABASE_URL", "$PG_URL", "it begins with none of sqlite://..., postgresql://..., postgres://..."),
    ("DATABASE_URL", "s3cret", "it begins with none of"),
    ("DATABASE_URL", "'postgresql://u:s3cret@h/n'", "it begins with none of"),
    ("DATABASE_URL", "mysql://u:s3cret@h/n", "'mysql' is not supported; use sqlite://..., postgresql://..."),
    (
        "DATABASE_URL",
        "postgresql://u:s3cr?t@h/n",
        f"{STRANGE} (a blank, a quote, a # or an @ after a / or ?): {ENCODE}",
    ),
    ("DATABASE_URL", "postgresql://u:s3cr#t@h/n", STRANGE),
    ("DATABASE_URL", "postgresql://u:s3cr/t@h/n", STRANGE),
    ("DATABASE_URL", "postgresql://u:s3cr t@h/n", STRANGE),
    ("DATABASE_URL", "postgresql://u:s3cr\\t@h/n", STRANGE),
    ("DATABASE_URL", "postgresql://u:s3cr[t@h/n", ENCODE),
    ("DATABASE_URL", "postgresql://u:s3cr\u00e9t@h/n", ENCODE),
    ("DATABASE_URL", "postgresql://u:s3cr%t@h/n", "a % is not followed by two hexadecimal digits"),
    ("DATABASE_URL", "postgresql://u:s3cr%ff@h/n", "a % is not followed by two hexadecimal digits of UTF-8"),
    ("DATABASE_URL", "postgresql://u:s3cr%00@h/n", "a % is not followed by two hexadecimal digits of UTF-8"),
    ("DATABASE_URL", "postgresql://u:s3cret@h:99999/n", PORT),
    ("DATABASE_URL", "postgresql://u:s3cret@h:0/n", PORT),
    ("DATABASE_URL", "postgresql://u:s3cret@h:/n", PORT),
    ("DATABASE_URL", "postgresql://u:s3cret@h:54a/n", PORT),
    ("DATABASE_URL", "postgresql://u:s3cret@h:-1/n", PORT),
    ("DATABASE_URL", "postgresql://u:s3cret@::1/n", "an IPv6 address stands in brackets"),
    ("DATABASE_URL", "postgresql://u:s3cret@h_!/n", "its host is no host name"),
    ("DATABASE_URL", "postgresql://u:s3cret@h", "it ends in no database's name"),
    ("DATABASE_URL", "postgresql://u:s3cret@h/", "it ends in no database's name"),
    ("DATABASE_URL", "postgresql://u:s3cret@h/a/b", "it ends in no database's name"),
    ("DATABASE_URL", f"postgresql://u:s3cret@h/{'n' * 64}", "it ends in no database's name"),
    (
        "DATABASE_URL",
        "postgresql://u:s3cret@h/n?sslmodee=require",
        "an option that is not known; known are application_name",
    ),
    ("DATABASE_URL", "postgresql://u:s3cret@h/n?sslmode=on", "its option sslmode is given twice, or has a value"),
    ("DATABASE_URL", "postgresql://u@h/n?password=s3cret", "an option that is not known"),
    ("DATABASE_URL", "postgresql://u@h/n?host=/run", "it names its host before the name and after the ?"),
    ("DATABASE_URL", "postgresql://u@h/n?connect_timeout=1&connect_timeout=2", "connect_timeout is given twice"),
    ("DATABASE_URL", "postgresql://u:s3cret@h/n#main", STRANGE),
    ("DATABASE_URL", "sqlite:ledger.sqlite3", "it begins with none of"),
    ("DATABASE_URL", "sqlite://", "write sqlite:///var/x.sqlite3 (below the project)"),
    ("DATABASE_URL", "sqlite:///", "write sqlite:///var/x.sqlite3 (below the project)"),
    ("DATABASE_URL", "sqlite://ledger.sqlite3", "or sqlite:////absolute/x.sqlite3"),
    ("DATABASE_URL", "sqlite:////srv/ledger.sqlite3?mode=ro", "an option that is not known; known are none"),
    ("DATABASE_URL", "sqlite:///docs", "is a folder: name a file"),
    # The broker
    ("CELERY_BROKER_URL", "", EMPTY),
    ("CELERY_BROKER_URL", "$REDIS_URL", "it begins with none of redis://..., rediss://..., redis+socket://..."),
    ("CELERY_BROKER_URL", "amqp://guest:s3cret@rabbit//", "'amqp' is not supported"),
    ("CELERY_BROKER_URL", "sqs://", "'sqs' is not supported"),
    ("CELERY_BROKER_URL", "unix:///run/redis.sock", "'unix' is not supported"),
    ("CELERY_BROKER_URL", "redis://:s3cr#t@h", STRANGE),
    ("CELERY_BROKER_URL", "redis://:s3cr?t@h/0", STRANGE),
    ("CELERY_BROKER_URL", "redis://:s3cr/t@h/0", STRANGE),
    ("CELERY_BROKER_URL", "redis://:s3cret@h:99999/0", PORT),
    ("CELERY_BROKER_URL", "redis://:s3cret@h:port/0", PORT),
    ("CELERY_BROKER_URL", "redis://:s3cret@/0", "it names no host"),
    ("CELERY_BROKER_URL", "redis://", "it names no host"),
    ("CELERY_BROKER_URL", "redis://:s3cret@h/main", "its database is not a number"),
    ("CELERY_BROKER_URL", "redis://:s3cret@a:6379/0;redis://:s3cret@b:6379/0", "the broker is one Redis"),
    ("CELERY_BROKER_URL", "redis://:s3cret@a,b/0", "it names no host"),
    ("CELERY_BROKER_URL", "sentinel://a:26379;sentinel://b:26379", "the broker is one Redis"),
    ("CELERY_BROKER_URL", "redis://h/0?ssl_cert_reqs=none", "an option that is not known; known are none"),
    ("CELERY_BROKER_URL", "rediss://h/0?ssl_cert_reqs=no", "its option ssl_cert_reqs is given twice, or has a value"),
    ("CELERY_BROKER_URL", "rediss://h/0?ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs names no file: /nowhere/ca.pem"),
    ("CELERY_BROKER_URL", "redis+socket://", "write redis+socket:///path/of/the/socket"),
    ("CELERY_RESULT_BACKEND", "rpc://", "use django-db, redis://..., rediss://... or redis+socket://..."),
    ("CELERY_RESULT_BACKEND", "db+postgresql://u:s3cret@h/n", "use django-db, redis://..."),
    ("CELERY_RESULT_BACKEND", "redis://:s3cr#t@h", STRANGE),
    ("CELERY_RESULT_BACKEND", "", EMPTY),
]


@pytest.mark.parametrize(("variable", "value", "said"), REFUSED)
def test_a_value_that_is_not_of_its_kind_is_refused(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str
) -> None:
    with pytest.raises(Misconfigured) as refused:
        read(monkeypatch, {variable: value})

    message = str(refused.value)
    assert variable in message
    assert said in message
    if said not in (UNSEEN, EMPTY):
        assert any(repr(part.strip()) in message for part in (value, *value.split(","))) or repr(value) in message


@pytest.mark.parametrize(("variable", "value", "said"), REFUSED_UNSHOWN)
def test_no_part_of_a_secret_is_shown(monkeypatch: pytest.MonkeyPatch, variable: str, value: str, said: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        read(monkeypatch, {variable: value})

    message = str(refused.value)
    assert variable in message
    assert said in message
    assert SECRET not in message


DOLLARS = "$k7" + "x" * 50
POSTGRESQL = {"ENGINE": "django.db.backends.postgresql", "OPTIONS": {}}
TAKEN = [
    ("SECRET_KEY", DOLLARS, "SECRET_KEY", DOLLARS),
    ("SECRET_KEY", "a b'#\"c$", "SECRET_KEY", "a b'#\"c$"),
    ("FINRA_CLIENT_ID", "", "FINRA_CLIENT_ID", ""),
    ("FINRA_CLIENT_SECRET", "$FINRA", "FINRA_CLIENT_SECRET", "$FINRA"),
    ("MARKETSPINE_CONTACT", "$CONTACT", "MARKETSPINE_CONTACT", "$CONTACT"),
    ("MARKETSPINE_SOURCE", "$SOURCE", "MARKETSPINE_SOURCE", "$SOURCE"),
    *(("MARKETSPINE_HTTPS", word, "HTTPS", True) for word in ("true", "True", "TRUE", "yes", "on", "1")),
    *(("MARKETSPINE_HTTPS", word, "HTTPS", False) for word in ("false", "False", "no", "off", "0")),
    ("MARKETSPINE_THREADS", "007", "MARKETSPINE_THREADS", 7),
    ("MARKETSPINE_MAX_REJECT_SHARE", "0.003", "MARKETSPINE_MAX_REJECT_SHARE", 0.003),
    ("MARKETSPINE_MAX_REJECT_SHARE", ".5", "MARKETSPINE_MAX_REJECT_SHARE", 0.5),
    ("MARKETSPINE_MAX_REJECT_SHARE", "1", "MARKETSPINE_MAX_REJECT_SHARE", 1.0),
    ("ALLOWED_HOSTS", "a, b", "ALLOWED_HOSTS", ["a", "b"]),
    ("ALLOWED_HOSTS", "spine.example,.desk.example,[::1],10.0.0.7", "ALLOWED_HOSTS", ["spine.example", ".desk.example", "[::1]", "10.0.0.7"]),  # noqa: E501
    ("ALLOWED_HOSTS", "*", "ALLOWED_HOSTS", ["*"]),
    ("MARKETSPINE_LOG_LEVEL", "warning", "MARKETSPINE_LOG_LEVEL", "WARNING"),
    ("MARKETSPINE_LOG_LEVEL", "Debug", "MARKETSPINE_LOG_LEVEL", "DEBUG"),
    ("MARKETSPINE_ARCHIVE_DIR", "archive", "MARKETSPINE_ARCHIVE_DIR", f"{BASE}/archive"),
    ("MARKETSPINE_ARCHIVE_DIR", "./a/../archive", "MARKETSPINE_ARCHIVE_DIR", f"{BASE}/archive"),
    ("MARKETSPINE_ARCHIVE_DIR", "/srv/our archive", "MARKETSPINE_ARCHIVE_DIR", "/srv/our archive"),
    ("MARKETSPINE_SOURCE_DIR", "/srv/M\u00e4rkte", "MARKETSPINE_SOURCE_DIR", "/srv/M\u00e4rkte"),
    ("CSRF_TRUSTED_ORIGINS", "https://a:8443, https://*.b", "CSRF_TRUSTED_ORIGINS", ["https://a:8443", "https://*.b"]),
    ("CSRF_TRUSTED_ORIGINS", "", "CSRF_TRUSTED_ORIGINS", []),
    ("CELERY_BROKER_URL", "memory://", "CELERY_RESULT_BACKEND", "django-db"),
    ("CELERY_BROKER_URL", "redis://:p%23ss@h", "CELERY_BROKER_URL", "redis://:p%23ss@h"),
    ("CELERY_BROKER_URL", "redis://u:p@[::1]:6379/3", "CELERY_RESULT_BACKEND", "marketspine.results:Counters+redis://u:p@[::1]:6379/3"),
    ("CELERY_BROKER_URL", "rediss://h:6380/0", "CELERY_BROKER_URL", "rediss://h:6380/0?ssl_cert_reqs=required"),
    ("CELERY_BROKER_URL", "rediss://h/0?ssl_cert_reqs=CERT_NONE", "CELERY_BROKER_URL", "rediss://h/0?ssl_cert_reqs=none"),
    ("CELERY_BROKER_URL", "redis+socket:///run/redis.sock?virtual_host=1", "CELERY_RESULT_BACKEND", "marketspine.results:Counters+socket:///run/redis.sock?virtual_host=1"),
    ("CELERY_RESULT_BACKEND", "rediss://h/0", "CELERY_RESULT_BACKEND", "marketspine.results:Counters+rediss://h/0?ssl_cert_reqs=required"),
]  # fmt: skip
DATABASES = [
    ("sqlite:///ledger.sqlite3", {"NAME": f"{BASE}/ledger.sqlite3"}),
    ("sqlite:////srv/a%20b%23/ledger.sqlite3", {"NAME": "/srv/a b#/ledger.sqlite3"}),
    ("sqlite://:memory:", {"NAME": ":memory:"}),
    ("postgresql://u:s3cr%3Ft@h/n", {"USER": "u", "PASSWORD": "s3cr?t", "HOST": "h", "PORT": "", "NAME": "n"}),
    ("postgresql://u:$k:@7@h:5433/n", {"PASSWORD": "$k:@7", "HOST": "h", "PORT": "5433"}),
    ("POSTGRES://u@h/n%20m", {"USER": "u", "PASSWORD": "", "NAME": "n m"}),
    ("postgresql://u:p@[2001:db8::1]:5432/n", {"HOST": "2001:db8::1", "PORT": "5432"}),
    ("postgresql://u@a:5433,b/n?target_session_attrs=primary", {"HOST": "a,b", "PORT": "5433,5432"}),
    ("postgresql://u@/n?host=/run/postgresql", {"HOST": "/run/postgresql", "OPTIONS": {}}),
    ("postgresql://u@%2Frun%2Fpostgresql/n", {"HOST": "/run/postgresql"}),
    ("postgresql:///n", {"HOST": "", "USER": "", "NAME": "n"}),
    ("postgresql://u@h/n?sslmode=verify-full&sslrootcert=/ca.pem", {"OPTIONS": {"sslmode": "verify-full", "sslrootcert": "/ca.pem"}}),  # noqa: E501
]  # fmt: skip


@pytest.mark.parametrize(("variable", "value", "setting", "read_as"), TAKEN)
def test_a_value_is_read_whole(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, setting: str, read_as: object
) -> None:
    assert read(monkeypatch, {variable: value})[setting] == read_as


@pytest.mark.parametrize(("url", "parts"), DATABASES)
def test_every_part_of_a_databases_address_is_read(
    monkeypatch: pytest.MonkeyPatch, url: str, parts: dict[str, object]
) -> None:
    entry = read(monkeypatch, {"DATABASE_URL": url})["DATABASES"]["default"]
    assert {name: entry[name] for name in parts} == parts
    if entry["ENGINE"].endswith("sqlite3"):
        assert entry["OPTIONS"]["transaction_mode"] == "IMMEDIATE"


def test_forms_come_from_the_allowed_hosts_and_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    named = {"ALLOWED_HOSTS": "a,.b,*", "MARKETSPINE_HTTPS": "true", "CSRF_TRUSTED_ORIGINS": "https://a:8443"}
    origins = ["https://a", "https://b", "https://*.b", "https://a:8443"]
    assert read(monkeypatch, named)["CSRF_TRUSTED_ORIGINS"] == origins


def test_an_empty_environment_has_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = read(monkeypatch, {})
    assert settings["DATABASES"]["default"]["NAME"] == f"{BASE}/var/marketspine.sqlite3"
    assert settings["MARKETSPINE_ARCHIVE_DIR"] == f"{BASE}/var/archive"
    assert settings["CELERY_BROKER_URL"] == "memory://"


@pytest.mark.parametrize(
    ("content", "secret"),
    [("hush\n", "hush"), ("hush\r\n", "hush"), ("hush", "hush"), ("$hush", "$hush"), ("a b ", "a b ")],
)
def test_a_secret_from_a_file_loses_its_last_newline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, secret: str
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content.encode())
    assert read(monkeypatch, {"SECRET_KEY_FILE": f"{file}"})["SECRET_KEY"] == secret


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "SECRET_KEY is set, and is empty"),
        (b"\n", "SECRET_KEY is set, and is empty"),
        (b"s3cr\n\n", UNSEEN),
        (b"s3cr\0et", UNSEEN),
        (b"s3cr\xff", "that file is not UTF-8 text"),
        (b"s3cr" * 20_000, "that file has more than 65536 bytes: is it the right one?"),
    ],
)
def test_a_file_that_holds_no_secret_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(Misconfigured, match="SECRET_KEY") as refused:
        read(monkeypatch, {"SECRET_KEY_FILE": f"{file}"})
    assert said in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_secrets_file_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, said in [("/nowhere", "No such file"), (f"{tmp_path}", "Is a directory"), ("", "Is a directory")]:
        with pytest.raises(Misconfigured, match=f"SECRET_KEY_FILE is {path!r}, and that file cannot be read: {said}"):
            read(monkeypatch, {"SECRET_KEY_FILE": path})


def test_a_variable_given_twice_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured, match="both SECRET_KEY and SECRET_KEY_FILE are set: unset one of them"):
        read(monkeypatch, {"SECRET_KEY": "a", "SECRET_KEY_FILE": "/nowhere"})


def run(words: list[str], **variables: str) -> subprocess.CompletedProcess[str]:
    """A process of its own, without other settings."""
    with warm.start(words, cwd=BASE, env=clean(variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(words, process.returncode, out, err)


CELERY = ("-m", "celery", "-A", "marketspine")
QUOTED = {"MARKETSPINE_HTTPS": '"true"'}
SENTENCE = (
    "misconfigured: MARKETSPINE_HTTPS is '\"true\"': write true or false (or yes, no, on, off, 1, 0), without quotes\n"
)


@pytest.mark.parametrize(
    "words",
    [
        ["manage.py", "run_weekly"],
        ["manage.py", "serve"],
        ["manage.py", "runserver"],
        ["manage.py", "migrate"],
        [*CELERY, "worker"],
        [*CELERY, "beat"],
    ],
    ids=" ".join,
)
def test_every_process_says_it_in_a_sentence(words: list[str]) -> None:
    ended = run(words, **QUOTED)
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", SENTENCE)


def test_gunicorn_gives_up_with_a_sentence() -> None:
    words = ["-m", "gunicorn", "marketspine.wsgi", "--bind", "127.0.0.1:0", "--no-control-socket"]
    ended = run(words, **QUOTED)
    assert ended.returncode == 3  # its own code for "failed to boot"
    assert SENTENCE in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_command_with_json_ends_with_a_document() -> None:
    ended = run(["manage.py", "doctor", "--json"], **QUOTED)
    assert ended.returncode == 2
    assert json.loads(ended.stdout) == {"error": SENTENCE.strip(), "exit_code": 2}


@pytest.mark.parametrize("words", [["manage.py", "doctor"], [*CELERY, "worker"], [*CELERY, "beat"]], ids=" ".join)
def test_limits_that_contradict_each_other_end_every_process(engines: Engines, words: list[str]) -> None:
    with engines.using("sqlite") as ledger:
        ended = run(words, DATABASE_URL=ledger.url, MARKETSPINE_HARD_LIMIT_SECONDS="5")
    assert ended.returncode == 2
    assert "marketspine.E005" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_settings_that_contradict_each_other_are_a_document(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/db"
    ended = run(["manage.py", "doctor", "--json"], DATABASE_URL=database, MARKETSPINE_HARD_LIMIT_SECONDS="5")
    document = json.loads(ended.stdout)
    assert (ended.returncode, document["exit_code"]) == (2, 2)
    assert "The soft limit of a task (900 s) is not below the hard one (5 s)" in document["error"]


def test_without_its_packages_it_says_what_to_do() -> None:
    words = [sys.executable, "-S", "manage.py", "doctor", "--json"]
    ended = subprocess.run(words, cwd=BASE, env=clean({}), capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 2
    assert "the package 'django' is not installed for" in ended.stderr
    assert "run `make run` once" in json.loads(ended.stdout)["error"]
