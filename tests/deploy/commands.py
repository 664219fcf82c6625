"""Whether a command of manage.py is one, with the options that a file of deploy/ gives it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from django.core.management import BaseCommand, CommandError, get_commands, load_command_class


def refused(words: Sequence[str]) -> Iterator[str]:
    """What `manage.py WORDS` would say against them; nothing where it takes them."""
    name, *arguments = words
    if name not in get_commands():
        yield f"there is no command {name}"
        return
    app = get_commands()[name]
    command: BaseCommand = load_command_class(app, name) if isinstance(app, str) else app
    command._called_from_command_line = False  # type: ignore[attr-defined] # it raises then, and does not exit
    try:
        command.create_parser("manage.py", name).parse_args(arguments)
    except CommandError as error:
        yield f"{shlex.join(words)}: {error}"
