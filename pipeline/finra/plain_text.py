"""Text from outside, made safe: for a database that takes no NUL, and a terminal that obeys escape sequences."""

from __future__ import annotations

import re

MOST_STORED = 4000
ELLIPSIS = "..."
PLAIN_WORD = re.compile(r"[a-z]+(-\w+)*[,;.]?( |$)")


def storable(text: str, most: int = MOST_STORED) -> str:
    """Text that every database takes, cut to `most` characters: NUL and halves of characters become escapes."""
    kept = shortened(text, most)
    return kept.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode()


def shortened(text: str, most: int) -> str:
    """At most `most` characters; an ellipsis shows a cut."""
    return text if len(text) <= most else text[: most - len(ELLIPSIS)] + ELLIPSIS


def as_sentence(text: str) -> str:
    """A text with a full stop, where it has no mark at its end yet."""
    return text if text.endswith((".", "?", "!")) else f"{text}."


def capitalized(text: str) -> str:
    """A text that begins with a capital; the name of a capture, a file or a field there stays as it is."""
    return text[:1].upper() + text[1:] if PLAIN_WORD.match(text) else text


def printable(text: str, keep: str = "") -> str:
    """Text that no terminal obeys: controls, newlines and bidirectional marks become escapes, except those in `keep`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in keep else _escaped(c) for c in text)


def fitting(text: str, encoding: str | None) -> str:
    """Text that a stream of `encoding` takes whole: a character that it has not becomes an escape."""
    name = encoding or "utf-8"
    return text.encode(name, "backslashreplace").decode(name)


def is_utf8(text: str) -> bool:
    """Whether an argument or a name was UTF-8: Python keeps other bytes as halves of characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def as_typed(text: str) -> str:
    """An argument for a message: bytes that are no UTF-8 become escapes."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
