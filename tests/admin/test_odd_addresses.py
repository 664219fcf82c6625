"""Every address of the admin with odd values in every parameter: refused or answered, never an error, never slow.

`ODD=all` tries every value with every parameter in every role; otherwise some parameters, drawn by chance, meet one of them
each, in a role that is drawn, too. FAULT_SEED draws the same again.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import resolve

from pipeline.admin.shared.offered import PAGES
from tests.admin.test_every_address import addresses, ledger_with_everything, signed_in
from tests.faults.extent import SEED

__all__ = ["ledger_with_everything"]

ODD = (
    "",
    "\0",
    "NaN",
    "-1",
    "0",
    "1e400",
    "9" * 19,
    "9" * 400,
    "9" * 5000,
    "abc",
    "1,2,abc",
    "^([a-zA-Z_.:0-9-]+)+#$",
    "(((",
    "[",
    "\\",
    "%",
    "' OR 1=1 --",
    '"unclosed',
    "2025-02-30",
    "0000-00-00",
    "99999-01-01",
    "2025-11-14T25:61",
    "1.2.1.2." * 50,
    "-" * 50,
    "true",
    "\ud800",
    "\u202e\u0000x",
    "e " * 3000,
    "x" * 20000,
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "a=b&c=d%00",
    "next=//evil.example",
)
GOOD_ANSWERS = {200, 302, 400, 403, 404, 405}
GENERAL = (
    "q",
    "o",
    "p",
    "all",
    "e",
    "_facets",
    "_popup",
    "_to_field",
    "_changelist_filters",
    "id__regex",
    "pk__in",
    "x",
)
POSTED = ("action", "index", "select_across", "_selected_action", "token", "reason", "digest", "_popup", "_to_field")
LEAST_ASKED = 100
MOST_STATEMENTS = 150
MOST_SECONDS = 2  # of this process alone, however busy the machine is
SOME = 0.1  # of the parameters
WHOLE = os.environ.get("ODD") == "all"
ENDING = ("/logout/", "/password_change/")
ROLES = ("Viewer", "Operator", "Administrator")
_chance = random.Random(SEED)
in_some_role = pytest.mark.parametrize("role", ROLES if WHOLE else [_chance.choice(ROLES)])


def values() -> Sequence[str]:
    """All odd values, or for some parameters one."""
    if WHOLE:
        return ODD
    return [_chance.choice(ODD)] if _chance.random() < SOME else []


def parameters(client: Client, address: str) -> Iterator[str]:
    """What an address may be asked: what its page offers, what others do, and lookups that none does."""
    yield from GENERAL
    yield from PAGES.get(resolve(address).url_name or "", ())
    listed = client.get(address).context
    found = listed.get("cl") if listed is not None else None
    if found is not None:
        for one in found.filter_specs:
            yield from (str(name) for name in one.expected_parameters())
        yield from (f"{field.name}__regex" for field in found.model._meta.fields)


def fields(client: Client, address: str) -> list[str]:
    """The names of what the forms of a page send."""
    page = b"".join(client.get(address)).decode(errors="replace")  # a page, or the bytes of a payload
    names = re.findall(r'<(?:input|select|textarea)[^>]* name="([^"]+)"', page)
    return [name for name in dict.fromkeys((*POSTED, *names)) if name != "csrfmiddlewaretoken"]


class Watched:
    """A browser whose every request is counted and timed."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.client.raise_request_exception = False
        self.wrong: list[str] = []
        self.asked = 0

    def get(self, address: str, name: str, value: str) -> None:
        self._watch(f"GET {address}?{name}={value[:40]!r}", lambda: self.client.get(address, {name: value}))

    def post(self, address: str, name: str, value: str, filled: dict[str, str]) -> None:
        sent = {**filled, name: value}
        self._watch(f"POST {address} {name}={value[:40]!r}", lambda: self.client.post(address, sent))

    def _watch(self, told: str, ask: Any) -> None:
        try:
            status, took, ran = self._measured(ask)
            if took > MOST_SECONDS:  # once it may be Python that collects its garbage
                status, took, ran = self._measured(ask)
        except UnicodeEncodeError:
            return  # half of a character, which no address can hold
        self.asked += 1
        if status not in GOOD_ANSWERS or took > MOST_SECONDS or ran > MOST_STATEMENTS:
            self.wrong.append(f"{status} after {took:.1f} s and {ran} statements: {told}")

    def _measured(self, ask: Any) -> tuple[int, float, int]:
        """The status of an answer, the seconds of this process that it took, the statements that it ran."""
        statements = count()

        def counted(execute: Any, *args: Any) -> Any:
            next(statements)
            return execute(*args)

        began = time.process_time()
        with connection.execute_wrapper(counted):
            status = ask().status_code
        return status, time.process_time() - began, next(statements)


@in_some_role
def test_no_odd_value_in_an_address_is_an_error_or_slow(ledger_with_everything: None, role: str) -> None:
    print(f"FAULT_SEED={SEED}")
    _chance.seed(SEED)
    client = signed_in(role)
    browser = Watched(client)
    for address in addresses():
        if not address.endswith(ENDING):
            for name in dict.fromkeys(parameters(client, address)):
                for value in values():
                    browser.get(address, name, value)
    assert browser.wrong == []
    assert browser.asked > LEAST_ASKED


@in_some_role
def test_no_odd_value_in_a_form_is_an_error_or_slow(ledger_with_everything: None, role: str) -> None:
    print(f"FAULT_SEED={SEED}")
    _chance.seed(SEED)
    client = signed_in(role)
    browser = Watched(client)
    mine = User.objects.get(username=role)
    for address in addresses():
        if address.endswith(ENDING) or f"/user/{mine.pk}/" in address:
            continue
        names = fields(client, address)
        for name in names:
            for value in values():
                browser.post(address, name, value, {"action": "delete_selected", "_selected_action": "1"})
                client.force_login(mine)
    assert browser.wrong == []
    assert browser.asked > LEAST_ASKED
