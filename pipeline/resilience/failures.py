"""Failures of the machine and of the database, in sentences for the person who can mend them, with the remedy."""

from __future__ import annotations

import errno

from django.db import Error as DatabaseFailure
from django.db import InterfaceError, OperationalError

AGAIN = "then the same command goes on"
LATER = f"wait until it answers, {AGAIN}"
RIGHT = "is DATABASE_URL right?"
FULL = f"free space on it, {AGAIN}"

# https://www.sqlite.org/rescode.html, by the primary code that the name begins with
OF_SQLITE = {
    "SQLITE_BUSY": f"another process keeps it locked: wait until that has ended, {AGAIN}",
    "SQLITE_LOCKED": f"another process keeps it locked: wait until that has ended, {AGAIN}",
    "SQLITE_FULL": f"the disk that holds it is full: {FULL}",
    "SQLITE_READONLY": "this user may not write to it: give write permission on the file and on its folder",
    "SQLITE_CANTOPEN": f"does its folder exist, and may this user write there? If not, {RIGHT}",
    "SQLITE_NOTADB": f"that file is no SQLite database: {RIGHT}",
    "SQLITE_CORRUPT": "its file is damaged: restore it from a backup",
    "SQLITE_IOERR": f"its disk cannot be read or written: look at that, {AGAIN}",
}
# https://www.postgresql.org/docs/current/errcodes-appendix.html, the longest beginning first
OF_POSTGRESQL = {
    "25006": "this server takes no changes: name the primary in DATABASE_URL",
    "42501": "this user may not do that: grant it, or have the user own the tables",
    "53100": f"the disk of the database server is full: {FULL}",
    "53300": f"the server has no connection left: end others or raise max_connections, {AGAIN}",
    "57014": f"the server ended what took too long: look at its statement_timeout, {AGAIN}",
    "55P03": f"another process keeps it locked: wait until that has ended, {AGAIN}",
    "3D000": f"create the database, or {RIGHT}",
    "08": LATER,
    "25P": LATER,
    "28": f"the server refuses the user or the password: {RIGHT}",
    "40": f"another process was in the way: {AGAIN}",
    "53": f"the server is at its limits: {LATER}",
    "57P": LATER,
    "58": f"the server's own files cannot be read or written: look at its log, {AGAIN}",
}
# Errors without a code: SQLite's own texts, and libpq's about a server that it cannot reach.
BY_WORDS = {
    "database is locked": OF_SQLITE["SQLITE_BUSY"],
    "table is locked": OF_SQLITE["SQLITE_BUSY"],
    "disk is full": OF_SQLITE["SQLITE_FULL"],
    "readonly database": OF_SQLITE["SQLITE_READONLY"],
    "unable to open database file": OF_SQLITE["SQLITE_CANTOPEN"],
    "not a database": OF_SQLITE["SQLITE_NOTADB"],
    "malformed": OF_SQLITE["SQLITE_CORRUPT"],
    "disk i/o error": OF_SQLITE["SQLITE_IOERR"],
    "too many clients": OF_POSTGRESQL["53300"],
    "remaining connection slots": OF_POSTGRESQL["53300"],
    "starting up": LATER,
    "shutting down": LATER,
    "recovery mode": LATER,
    "closed the connection": LATER,
    "closed unexpectedly": LATER,
    "already closed": LATER,
    "connection is closed": LATER,
    "connection is lost": LATER,
    "authentication failed": OF_POSTGRESQL["28"],
    "no password supplied": OF_POSTGRESQL["28"],
    "no pg_hba.conf entry": f"the server lets this user in from other places or by TLS only: {RIGHT}",
    "certificate": "the server's certificate is not the one that DATABASE_URL asks for",
    "role": OF_POSTGRESQL["28"],
    "does not exist": OF_POSTGRESQL["3D000"],
    "connection failed": f"is the server running? If so, {RIGHT}",
    "connection timeout": f"is the server running? If so, {RIGHT}",
    "failed to resolve host": f"there is no such host: {RIGHT}",
}

OF_THE_SYSTEM = {
    errno.ENOSPC: f"the disk is full: {FULL}",
    errno.EDQUOT: f"this user's share of the disk is used up: {FULL}",
    errno.EROFS: f"that disk can only be read: mount it for writing, {AGAIN}",
    errno.EACCES: "give this user permission to read and write there",
    errno.EPERM: "give this user permission to read and write there",
    errno.EIO: f"the disk fails: look at it, {AGAIN}",
    errno.ESTALE: f"the server of that folder was away: {AGAIN}",
    errno.EMFILE: f"this process has too many files open: raise `ulimit -n`, {AGAIN}",
    errno.ENFILE: f"this machine has too many files open: raise fs.file-max, {AGAIN}",
    errno.ENOTDIR: "a file stands where a folder should be: move it away",
}
PASSING = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.EBUSY, errno.EAGAIN}
)


def explained(error: BaseException) -> str | None:
    """A sentence with the remedy; None for a failure of our own."""
    if isinstance(error, OperationalError | InterfaceError) or (isinstance(error, DatabaseFailure) and _advice(error)):
        return database_sentence(error)
    if isinstance(error, OSError) and error.errno:
        place = f"{error.filename}: " if error.filename else ""
        advice = OF_THE_SYSTEM.get(error.errno, "")
        return f"{place}{error.strerror}{'; ' if advice else ''}{advice}"
    return None


def sentence_of(error: BaseException) -> str:
    """An error as a sentence for a person, with the remedy where one is known."""
    return explained(error) or str(error)


def database_sentence(error: DatabaseFailure) -> str:
    """The database's message, with the remedy where one is known."""
    said = " ".join(str(error).split())
    advice = _advice(error)
    return f"the database cannot be used: {said}; {advice}" if advice else f"the database cannot be used: {said}"


def _advice(error: DatabaseFailure) -> str | None:
    name: str = getattr(error.__cause__, "sqlite_errorname", None) or ""
    state: str = getattr(error.__cause__, "sqlstate", None) or ""
    if by_name := [advice for code, advice in OF_SQLITE.items() if name.startswith(code)]:
        return by_name[0]
    if by_state := [advice for code, advice in OF_POSTGRESQL.items() if state.startswith(code)]:
        return by_state[0]
    if name or state or not isinstance(error, OperationalError | InterfaceError):
        return None
    said = str(error).lower()
    return next((advice for words, advice in BY_WORDS.items() if words in said), None)
