"""What a page does not offer is refused with 400; what its own filters, links and forms send is taken."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterable
from typing import TypeVar
from urllib.parse import urlencode

import pytest
from django.conf import settings
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from pipeline.models import Anomaly, Capture, Partition
from tests.admin.test_every_address import ledger_with_everything
from tests.admin.vintages import signed_in
from tests.faults.extent import EVERYTHING, SEED
from tests.support.engines import Ledger

__all__ = ["ledger_with_everything"]

CATASTROPHE = "^([a-zA-Z_.:0-9-]+)+#$"
PART = 0.1  # of what there is to ask
T = TypeVar("T")
CAPTURES, ANOMALIES = "/admin/pipeline/capture/", "/admin/pipeline/anomaly/"


def lists() -> list[str]:
    """The addresses of all lists."""
    named = (model._meta for model in admin.site._registry)
    return [reverse(f"admin:{one.app_label}_{one.model_name}_changelist") for one in named]


def columns(address: str) -> list[str]:
    """The fields of what a list shows."""
    app, name = address.strip("/").split("/")[1:]
    model = next(one for one in admin.site._registry if (one._meta.app_label, one._meta.model_name) == (app, name))
    return [field.name for field in model._meta.fields]


def some(cases: Iterable[T]) -> list[T]:
    """A part of them, drawn by chance; all with FAULTS=all."""
    chance = random.Random(SEED)
    return [case for case in cases if EVERYTHING or chance.random() < PART]


def test_no_list_takes_a_regular_expression_from_anybody(ledger: Ledger) -> None:
    print(f"FAULT_SEED={SEED}")
    fields = [(address, column) for address in lists() for column in columns(address)]
    lookups = ("regex", "iregex", "exact__regex", "contains")
    for client in (signed_in("Viewer"), signed_in("Administrator")):
        for (address, column), lookup in some(itertools.product(fields, lookups)):
            answer = client.get(address, {f"{column}__{lookup}": CATASTROPHE})
            assert answer.status_code in (400, 403), (address, column, lookup)


@pytest.mark.parametrize(
    "asked",
    [
        {"capture_id__regex": CATASTROPHE},
        {"capture_id__startswith": "a"},
        {"partition__run_partitions__run__reason__contains": "x"},
        {"id__in": "1,2"},
        {"kind__in": "FIRST,FORCED"},
        {"kind__exact": "FIRST", "kind__regex": "F"},
        {"password": "x"},
        {"nothing": "x"},
        {"_facets": "True"},
        {"_popup": "1", "_to_field": "password"},
        {"_to_field": ""},
        {"o": "1.1"},
        {"o": ".".join("12345678" * 500)},
        {"o": "x"},
        {"all": "x"},
        {"q": "x" * 201},
        {"q": "a b c d e f g h i j k"},
        {"q": "a\0"},
        {"kind__exact": "\0"},
    ],
)
def test_a_list_refuses_what_it_does_not_offer(ledger: Ledger, asked: dict[str, str]) -> None:
    assert signed_in("Viewer").get(CAPTURES, asked).status_code == 400


@pytest.mark.parametrize(
    "asked",
    [
        {"kind__exact": "FIRST", "pinned__exact": "0", "partition__tier__exact": "OTC"},
        {"partition__tier": "OTC"},
        {"partition__exact": "1"},
        {"captured_on_from": "2025-01-01", "captured_on_to": "2026-01-01"},
        {"o": "-1.2"},
        {"o": ""},
        {"all": ""},
        {"p": "1"},
        {"q": "OTC:2025-11-14"},
    ],
)
def test_a_list_takes_what_its_filters_and_links_send(ledger_with_everything: None, asked: dict[str, str]) -> None:
    assert signed_in("Viewer").get(CAPTURES, asked).status_code == 200


def test_every_link_of_every_page_leads_to_what_is_offered(ledger_with_everything: None) -> None:
    print(f"FAULT_SEED={SEED}")
    client = signed_in("Administrator")
    objects = (Partition.objects.all()[0], Capture.objects.all()[0], Anomaly.objects.all()[0])
    pages = [reverse(f"admin:pipeline_{one._meta.model_name}_change", args=[one.pk]) for one in objects]
    for page in ("/admin/", "/admin/rows/", *lists(), *pages):
        for found in some(sorted({*re.findall(r'href="([^"#]*\?[^"]*)"', client.get(page).content.decode())})):
            address = found.replace("&amp;", "&") if found.startswith("/") else page + found.replace("&amp;", "&")
            assert client.get(address).status_code in (200, 302), (page, address)


@pytest.mark.parametrize(
    "address", ["/admin/", "/admin/rows/", "/admin/search/", "/admin/autocomplete/", "/admin/jsi18n/"]
)
def test_a_page_refuses_parameters_that_are_not_its_own(ledger: Ledger, address: str) -> None:
    assert signed_in("Viewer").get(address, {"s": "a", "extended": "1"}).status_code == 400


@pytest.mark.parametrize("ticked", ["abc", "", "1,2", "-1", "9" * 30, "\0", "1.0"])
def test_an_action_on_what_is_no_id_is_refused(ledger_with_everything: None, ticked: str) -> None:
    client = signed_in("Operator")
    order = {"action": "resolve", "_selected_action": ticked, "reason": "because"}
    assert client.post(ANOMALIES, order).status_code == 400
    assert not Anomaly.objects.filter(resolved_at__isnull=False).exists()


def test_a_body_larger_than_any_form_is_refused_unread(ledger: Ledger) -> None:
    client, large = Client(), b"x" * (settings.DATA_UPLOAD_MAX_MEMORY_SIZE + 1)
    form = "application/x-www-form-urlencoded"
    for address in ("/admin/login/", "/nowhere/"):
        assert client.post(address, large, content_type=form).status_code == 400
        assert client.post(address, {"file": large.decode()}).status_code == 400
    assert client.post("/admin/login/", urlencode({"username": "x" * 1000, "password": "y"}), form).status_code == 200
