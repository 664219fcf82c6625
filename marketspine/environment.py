"""The environment, read by one strict reader: a value is read whole, or refused with the variable's name.

The reader is our own: django-environ follows a value that begins with `$` to another variable, takes `"true"` for false,
and cuts an address at the first character that it does not expect (docs/adr/0026).
"""

from __future__ import annotations

import ipaddress
import os
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TypeAlias
from urllib.parse import unquote

from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent

BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LARGEST = 1_000_000_000  # as seconds: above 30 years, and not too long for threads and databases to wait
LONGEST_FILE = 64 * 1024
LONGEST_SHOWN = 80
INVISIBLE = frozenset(
    {"Cc", "Cf", "Cs", "Zl", "Zp"}
)  # controls, joiners and marks, bytes that are not UTF-8, separators

WHOLE_NUMBER = re.compile(r"[0-9]{1,20}")
FIGURE = re.compile(r"[0-9]{1,20}(\.[0-9]{1,20})?|\.[0-9]{1,20}")
HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?"
)


# The reader's methods are named like Python's types: within the class, these names stand for the types.
Text: TypeAlias = str
Truth: TypeAlias = bool
Words: TypeAlias = list[str]


class Misconfigured(ImproperlyConfigured):
    """A variable that cannot be read. The message names it, and holds no part of a secret."""


def is_set(name: str) -> bool:
    """Whether the environment has the variable, or names the file that holds it."""
    return name in os.environ or f"{name}_FILE" in os.environ


class Environment:
    """Reads variables, each as one kind of value; `names` are the variables that were asked for.

    NAME may also come from the file that NAME_FILE points at, less a newline at its end. A variable that is set but empty
    is refused, unless its default is empty: a misspelt name in a shell or a template leaves an empty value.
    """

    def __init__(self, values: Mapping[Text, Text] = os.environ, folder: Path = BASE_DIR) -> None:
        self._values, self._folder = values, folder
        self.names: set[Text] = set()
        self.secrets: set[Text] = set()

    def str(self, var: Text, default: Text) -> Text:
        """Text without blanks around it."""
        value = self._given(var, default)
        if value != value.strip():
            raise Misconfigured(f"{var} is {_shown(value)}: remove the blanks around it")
        return value

    def secret(self, var: Text, default: Text) -> Text:
        """Any text; neither messages nor the log show it."""
        value = self._given(var, default)
        self.secrets.update(_secrets_in(value))
        return value

    def one_of(self, var: Text, known: Collection[Text], default: Text) -> Text:
        """One of the words that are known."""
        value = self.str(var, default)
        if value not in known:
            raise Misconfigured(f"{var} is {_shown(value)}: write one of {', '.join(known)}")
        return value

    def bool(self, var: Text, default: Truth) -> Truth:
        """True or false."""
        value = self.str(var, "true" if default else "false")
        if value.lower() not in BOOLEANS:
            raise Misconfigured(
                f"{var} is {_shown(value)}: write true or false (or yes, no, on, off, 1, 0), without quotes"
            )
        return BOOLEANS[value.lower()]

    def at_least_one(self, var: Text, default: int, most: int = LARGEST) -> int:
        """A whole number from 1 to `most`."""
        return self._whole(var, default, 1, most)

    def at_least_zero(self, var: Text, default: int, most: int = LARGEST) -> int:
        """A whole number from 0 to `most`."""
        return self._whole(var, default, 0, most)

    def _whole(self, var: Text, default: int, least: int, most: int) -> int:
        value = self.str(var, f"{default}")
        if not WHOLE_NUMBER.fullmatch(value) or not least <= int(value) <= most:
            raise Misconfigured(
                f"{var} is {_shown(value)}: write a whole number from {least} to {most}, in digits only"
            )
        return int(value)

    def share(self, var: Text, default: float) -> float:
        """A share from 0 to 1."""
        value = self.str(var, f"{default}")
        if not FIGURE.fullmatch(value) or float(value) > 1:
            raise Misconfigured(f"{var} is {_shown(value)}: write a share from 0 to 1, such as 0.25 (not 25 %)")
        return float(value)

    def bounds(self, var: Text, default: tuple[float, float]) -> tuple[float, float]:
        """Two figures, the lower first: "0.6,1.65"."""
        value = self.str(var, "{:g},{:g}".format(*default))
        figures = [figure.strip() for figure in value.split(",")]
        if len(figures) == len(default) and all(map(FIGURE.fullmatch, figures)):
            low, high = map(float, figures)
            if low <= high:
                return low, high
        raise Misconfigured(f"{var} is {_shown(value)}: write two figures, the lower first, such as 0.6,1.65")

    def list(self, var: Text, default: Collection[Text]) -> Words:
        """Words with commas between them; blanks around a word do not count."""
        value = self.str(var, ",".join(default))
        words = [word.strip() for word in value.split(",")]
        if not all(words) or any(character in word for word in words for character in "\"'[]{}; "):
            raise Misconfigured(
                f"{var} is {_shown(value)}: write words with one comma between two, without quotes: a,b"
            )
        return words

    def some_of(self, var: Text, known: Collection[Text], default: Collection[Text]) -> Words:
        """Some of the known words, with commas between them; an empty value means none."""
        if self._given(var, ",".join(default), empty=True) == "":
            return []
        words = self.list(var, default)
        if unknown := [word for word in words if word not in known]:
            raise Misconfigured(f"{var} has {_shown(unknown[0])}: it knows {', '.join(sorted(known))}")
        return words

    def hosts(self, var: Text, default: Collection[Text], *, patterns: Truth = False) -> Words:
        """Names or addresses of hosts; with `patterns` also `.example.com` (it and its subdomains) and `*` (all)."""
        value = self.str(var, ",".join(default))
        hosts = [host.strip() for host in value.split(",")]
        for host in hosts:
            if not (is_host(host) or (patterns and (host == "*" or is_host(host.removeprefix("."))))):
                raise Misconfigured(
                    f"{var} has {_shown(host)}: write host names with commas between them, without scheme, port or "
                    "path, and an IPv6 address in brackets: spine.example.com,127.0.0.1,[::1]"
                )
        return hosts

    def log_level(self, var: Text, default: Text) -> Text:
        """A level of Python's logging, in capitals."""
        value = self.str(var, default)
        if value.upper() not in LEVELS:
            raise Misconfigured(f"{var} is {_shown(value)}: write one of {', '.join(LEVELS)}")
        return value.upper()

    def folder(self, var: Text, default: Path) -> Text:
        """An absolute path; a relative value is below the project's folder. It need not exist yet."""
        value = self.str(var, f"{default}")
        if value.startswith(("~", "$", '"', "'")):
            raise Misconfigured(f"{var} is {_shown(value)}: no shell reads it, so write the folder's path in full")
        path = Path(os.path.normpath(self._folder / value))
        if _is_other_than_folder(path):
            raise Misconfigured(f"{var} is {_shown(value)}: {path} is there, and is not a folder")
        return f"{path}"

    def _given(self, var: Text, default: Text, *, empty: Truth = False) -> Text:
        """The value as written, or the default."""
        self.names.add(var)
        value = self._from_file(var) if f"{var}_FILE" in self._values else self._values.get(var, default)
        if any(unicodedata.category(character) in INVISIBLE for character in value):
            raise Misconfigured(
                f"{var} holds a character that cannot be seen (a line end, a mark, a byte that is not UTF-8): write it anew"
            )
        if not value and default and not empty:
            raise Misconfigured(f"{var} is set, and is empty: give it a value, or unset it to have the default")
        return value

    def _from_file(self, var: Text) -> Text:
        name = f"{var}_FILE"
        path = self._values[name]
        if var in self._values:
            raise Misconfigured(f"both {var} and {name} are set: unset one of them")
        try:
            with Path(self._folder / path).open("rb") as file:
                content = file.read(LONGEST_FILE + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or f"{error}"
            raise Misconfigured(f"{name} is {_shown(path)}, and that file cannot be read: {reason}") from None
        if len(content) > LONGEST_FILE:
            raise Misconfigured(
                f"{name} is {_shown(path)}, and that file has more than {LONGEST_FILE} bytes: is it the right one?"
            )
        try:
            return content.decode().removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError:
            raise Misconfigured(f"{name} is {_shown(path)}, and that file is not UTF-8 text") from None


def is_host(text: str) -> bool:
    """Whether a text is the name of a host, an IPv4 address, or an IPv6 address in brackets."""
    return bool(HOST.fullmatch(text)) or is_ipv6(text)


def is_ipv6(text: str) -> bool:
    """Whether a text is an IPv6 address in brackets."""
    if not (text.startswith("[") and text.endswith("]")):
        return False
    try:
        ipaddress.IPv6Address(text[1:-1])
    except ValueError:
        return False
    return True


def _secrets_in(value: str) -> Iterator[str]:
    """The parts of a secret that no log may show: of an address the password, as written and decoded."""
    if "://" not in value:
        yield value
    elif "@" in value:
        password = value.partition("://")[2].rpartition("@")[0].partition(":")[2]
        yield from {password, unquote(password)}


def _shown(value: str) -> str:
    """A value for a message; of a long one the beginning."""
    return repr(value if len(value) <= LONGEST_SHOWN else f"{value[:LONGEST_SHOWN]}...")


def _is_other_than_folder(path: Path) -> bool:
    """Whether the path, or one of its parents, exists and is no folder."""
    return any(part.exists() and not part.is_dir() for part in (path, *path.parents))
