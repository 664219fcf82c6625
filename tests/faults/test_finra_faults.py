"""The fault table: how FINRA may misbehave, what becomes of the partition, and that what is captured stays as it was.

A partition is captured and then restated at the service; the fault strikes the fetch that would see it. What recovers has
the restatement; what does not leaves the first capture the latest.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

import pytest
import time_machine

from pipeline.capture import ingest, results
from pipeline.capture.results import Result
from pipeline.capture.terms import Terms
from pipeline.finra.calendar import PartitionKey, Tier
from pipeline.finra.sources.api.access import Access
from pipeline.finra.sources.api.source import FinraApi
from pipeline.finra.sources.base import TransientSourceError
from pipeline.models import Anomaly, Capture, Outcome
from tests.fake_finra import Catalogue, Empty, Fault, FinraServer, Kind, Options, Restatement, Samples, Service
from tests.fake_finra.restatements import redraw
from tests.live_source import product
from tests.support.engines import Engines

KEY = PartitionKey(date(2025, 10, 3), Tier.NMS_TIER_1)
FIRST, AFTER = date(2025, 10, 20), date(2025, 11, 3)
TOKENS = "/fip/"
ALWAYS = None
REFUSED = ("FETCH_FAILED", "ERROR")
GIVEN_UP = ("FETCH_FAILED", "WARN")
CREDENTIALS = {"client_id": "client", "client_secret": "secret"}


@dataclass(frozen=True)
class Case:
    """Faults, and what must come of them: an outcome, the anomalies by category and severity, words that are said."""

    faults: tuple[Fault, ...]
    outcome: Outcome
    anomalies: tuple[tuple[str, str], ...] = ()
    said: str = ""
    access: dict[str, Any] = field(default_factory=dict)
    options: Options = field(default_factory=Options)


def recovers(*faults: Fault, **access: Any) -> Case:
    return Case(faults, Outcome.RESTATED, access=access)


def fails(said: str, *faults: Fault, **access: Any) -> Case:
    return Case(faults, Outcome.FAILED, (REFUSED,), said, access)


def gives_up(said: str, *faults: Fault, **access: Any) -> Case:
    return Case(faults, Outcome.FAILED, (GIVEN_UP,), said, access)


def stays(said: str, *faults: Fault) -> Case:
    return Case(faults, Outcome.NOT_OFFERED, said=said)


def status(number: int, times: int | None = 2, **more: Any) -> Fault:
    return Fault(Kind.STATUS, times, status=number, **more)


CASES = {
    # What passes is tried again, by the request.
    **{f"{number}, twice": recovers(status(number)) for number in (408, 425, 500, 502, 503, 504, 520, 524, 530)},
    "429 with Retry-After in seconds": recovers(Fault(Kind.STORM, 3, retry_after="0")),
    "429 with Retry-After as a date": recovers(Fault(Kind.STORM, 2, retry_after="Mon, 03 Nov 2025 00:00:00 GMT")),
    "429 without Retry-After": recovers(Fault(Kind.STORM, 2)),
    "429 that asks for an hour": replace(
        gives_up("429", Fault(Kind.STORM, 1, retry_after="3600")), access={"requests_per_second": 77_777}
    ),  # a row of its own: nothing else of this process is to wait
    "a reset before the reply": recovers(Fault(Kind.RESET_AT_ONCE, 2)),
    "a reset within the reply": recovers(Fault(Kind.RESET_MID_BODY, 2)),
    "closed before the reply": recovers(Fault(Kind.CLOSED_AT_ONCE, 2)),
    "closed within the reply": recovers(Fault(Kind.CLOSED_MID_BODY, 2)),
    "a reply that trickles": recovers(Fault(Kind.SLOW_BYTES, 1, seconds=0.2), request_seconds=2),
    "a reply that trickles for ever": gives_up(
        "had not come whole", Fault(Kind.SLOW_BYTES, ALWAYS, seconds=0.1), request_seconds=0.5
    ),
    "a reply that comes late": recovers(Fault(Kind.LATE, 2, seconds=0.1)),
    "a reply that cannot be decompressed": recovers(Fault(Kind.GARBLED_GZIP, 2)),
    "503 for as long as anybody asks": gives_up("before FINRA, answered 503 to POST /data/", status(503, ALWAYS)),
    "resets for ever": gives_up("the connection to FINRA failed", Fault(Kind.RESET_AT_ONCE, ALWAYS)),
    # What does not pass fails at once.
    **{
        f"{number}": fails(f"Cloudflare, which stands before FINRA, answered {number}", status(number, ALWAYS))
        for number in (400, 403, 404, 501, 505)
    },
    "a redirect": fails("none is followed", Fault(Kind.REDIRECT)),
    "an HTML page with 200": fails("it is text/html, and JSON was asked for", Fault(Kind.HTML_PAGE)),
    "CSV in place of JSON": fails("it is text/plain, and JSON was asked for", Fault(Kind.CSV)),
    "JSON under another name": fails("it is text/html", Fault(Kind.WRONG_CONTENT_TYPE)),
    "an object in place of a list": fails("cannot be used", Fault(Kind.OBJECT)),
    "an error with 200": fails("No data found for specified dataset request", Fault(Kind.ERROR_IN_200)),
    "an empty body with 200": fails("it is not whole JSON", Fault(Kind.EMPTY_BODY)),
    "JSON that is cut": fails("it is not whole JSON", Fault(Kind.TRUNCATED_JSON)),
    "text that is not UTF-8": fails("it is not whole JSON", Fault(Kind.INVALID_UTF8)),
    "a reply without end": fails("larger than 1,000,000 bytes", Fault(Kind.OVERSIZED, amount=2_000_000)),
    "no total": fails("its header Record-Total is ''", Fault(Kind.TOTAL_MISSING)),
    "a total that is none": fails("its header Record-Total is 'many'", Fault(Kind.TOTAL_GARBAGE)),
    "another offset": fails("it begins at row", Fault(Kind.OFFSET_WRONG)),
    "a field that is missing": fails("rows lack totalWeeklyTradeCount", Fault(Kind.MISSING_FIELD)),
    "a row of another tier": fails("rows with tierIdentifier", Fault(Kind.WRONG_TIER)),
    "a row of another week": fails("rows with weekStartDate 2001-01-01", Fault(Kind.WRONG_WEEK)),
    "a row of another cut": fails("rows with summaryTypeCode ATS_W_VOL_STATS", Fault(Kind.WRONG_SUMMARY_TYPE)),
    "filters that are ignored": fails("among those asked for with", Fault(Kind.FILTERS_IGNORED, ALWAYS)),
    "NaN, once": recovers(Fault(Kind.NAN_SHARES)),
    "no request id": recovers(Fault(Kind.REQUEST_ID_MISSING, ALWAYS)),
    # What the rows do between pages: the partition is read from the beginning.
    "a row comes meanwhile": recovers(Fault(Kind.ROW_ADDED, offset=1)),
    "a row goes meanwhile": recovers(Fault(Kind.ROW_REMOVED, offset=1)),
    "the rows move on by one": recovers(Fault(Kind.ROWS_SHIFTED, offset=1)),
    "the rows move back by one": recovers(Fault(Kind.ROWS_SLIPPED, offset=1)),
    "a page comes twice": recovers(Fault(Kind.DUPLICATED_PAGE, offset=1)),
    "a total too high": gives_up("the rows changed each time", Fault(Kind.TOTAL_WRONG, ALWAYS, amount=1)),
    "a total too low": gives_up("the rows changed each time", Fault(Kind.TOTAL_WRONG, ALWAYS, amount=-1)),
    "nothing there any more, midway": recovers(Fault(Kind.NO_CONTENT, offset=1)),
    "fewer rows than would fit": recovers(Fault(Kind.SHORT_PAGE, 3, amount=7)),
    # Nothing is never taken for a week without volume.
    "204": stays("the source does not offer it (any more): version 1 stays", Fault(Kind.NO_CONTENT, ALWAYS)),
    "[]": stays("the source does not offer it (any more): version 1 stays", Fault(Kind.EMPTY_LIST, ALWAYS)),
    "only the ATS half": stays(
        "the source does not offer it", Fault(Kind.NOTHING, ALWAYS, equal={"summaryTypeCode": "OTC_W_SMBL_FIRM"})
    ),
    # Rows that fit nowhere are rejected, and the totals show what they lack; what was so once is read again.
    "shares that are null, once": recovers(Fault(Kind.NULL_SHARES)),
    **{
        what: Case((Fault(kind, ALWAYS),), Outcome.RESTATED, (("REJECTED_ROWS", "WARN"), ("UNRECONCILED", "ERROR")))
        for what, kind in {
            "shares that are null": Kind.NULL_SHARES,
            "shares below nothing": Kind.NEGATIVE_SHARES,
            "shares that are text": Kind.SHARES_AS_TEXT,
        }.items()
    },
    "a date that is none": Case((Fault(Kind.BAD_DATE, ALWAYS),), Outcome.RESTATED, (("REJECTED_ROWS", "WARN"),)),
    "totals that do not add up": Case(
        (Fault(Kind.NULL_SHARES, ALWAYS, equal={"summaryTypeCode": "ATS_W_SMBL"}),),
        Outcome.RESTATED,
        (("UNRECONCILED", "ERROR"),),
        "of 6 symbols do not add up to FINRA's totals; the largest: ",
    ),
    # Rows that are odd are kept, and told.
    **{
        what: Case(
            (Fault(Kind.VALUE, named="totalNotionalSum", figure=figure),),
            Outcome.RESTATED,
            (("ODD_ROWS", "WARN"), ("RESTATED_SILENTLY", "INFO")),
            "1 rows with",
        )
        for what, figure in (("a notional that is text", '"n/a"'), ("a notional below nothing", "-1.5"))
    },
    **{
        what: Case(
            (Fault(Kind.VALUE, named=named, figure=figure),), Outcome.RESTATED, (("ODD_ROWS", "WARN"),), "1 rows with"
        )
        for what, named, figure in (
            ("the start of another week", "summaryStartDate", '"2025-09-22"'),
            ("a date before the week's end", "lastUpdateDate", '"2025-10-02"'),
            ("a tier's description that is unknown", "tierDescription", '"NMS Tier 9"'),
        )
    },
    "a field that is new": Case(
        (Fault(Kind.UNKNOWN_FIELD, ALWAYS),), Outcome.RESTATED, (("UNKNOWN_FIELDS", "WARN"),), "venueColour"
    ),
    **{
        what: Case((Fault(kind, ALWAYS),), Outcome.RESTATED, (("REJECTED_ROWS", "WARN"),), "DUPLICATE_KEY")
        for what, kind in {
            "a row that comes twice in a reply": Kind.ROW_TWICE,
            "one that its total does not count": Kind.REPEATED_ROW,
        }.items()
    },
    "trades as a double": recovers(Fault(Kind.VALUE, named="totalWeeklyTradeCount", figure="1234.0")),
    "a CRD number as a double": recovers(  # of the first firm, the De Minimis Firms, whose number is 0
        Fault(Kind.VALUE, named="firmCRDNumber", figure="0.0", equal={"summaryTypeCode": "OTC_W_SMBL_FIRM"})
    ),
    # Credentials.
    "401 to who asks anonymously": fails("set FINRA_CLIENT_ID and FINRA_CLIENT_SECRET", Fault(Kind.UNAUTHORIZED)),
    "401 to a token that has expired": recovers(Fault(Kind.UNAUTHORIZED), **CREDENTIALS),
    "tokens that are of no use": fails(
        "the token was refused twice", Fault(Kind.TOKEN_USELESS, ALWAYS, path=TOKENS), **CREDENTIALS
    ),
    "a token without an end": fails(
        "without an access_token and its expires_in", Fault(Kind.TOKEN_WITHOUT_EXPIRY, path=TOKENS), **CREDENTIALS
    ),
    "a token service that stumbles": recovers(status(503, path=TOKENS), **CREDENTIALS),
    "credentials that are wrong": fails(
        "answered 401: are FINRA_CLIENT_ID", client_id="client", client_secret="s3cr3t"
    ),
    "credentials are asked for": Case(
        (), Outcome.RESTATED, access=CREDENTIALS, options=Options(anonymous=False, empty=Empty.EMPTY_LIST)
    ),
}


def access(server: FinraServer, **changes: Any) -> Access:
    known = Access(
        api_url=server.url,
        token_url=f"{server.url}/fip/rest/ews/oauth2/access_token",
        requests_per_second=100_000,
        connections=2,
        retry_seconds=0.001,
        request_seconds=60,
        max_response_bytes=1_000_000,
    )
    return replace(known, **changes)


def fetched(server: FinraServer, today: date, **changes: Any) -> Result:
    """What becomes of the partition, as a run has it that has tried often enough."""
    server.service.today = today
    terms = Terms(run_date=today)
    try:
        return ingest.ingest(KEY, FinraApi(access(server, **changes), 10**8), terms)
    except TransientSourceError as error:
        return results.unfetched(KEY, error, terms)


@pytest.mark.promise(4)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
@time_machine.travel(date(2025, 11, 3))
def test_what_becomes_of_a_partition(engines: Engines, case: Case) -> None:
    catalogue = Catalogue(
        [KEY.week_ending], Samples(securities=3), restatements=[Restatement(KEY, AFTER, redraw("fault"))]
    )
    options = replace(case.options, requests_per_second=None, max_limit=30)
    with FinraServer(Service(catalogue, options)) as server, engines.using("sqlite"):
        first = fetched(server, FIRST, **{name: CREDENTIALS[name] for name in case.access if name in CREDENTIALS})
        assert (first.outcome, Anomaly.objects.count()) == (Outcome.INGESTED, 0)
        before, answered = product.held(KEY), len(server.service.log.entries())
        for fault in case.faults:
            server.service.faults.add(replace(fault))
            if fault.path == TOKENS:
                server.service.tokens.revoke()

        result = fetched(server, AFTER, **{"requests_per_second": 99_999, **case.access})

        assert result.outcome == case.outcome, result.reason
        anomalies = Anomaly.objects.order_by("category")
        assert tuple(anomalies.values_list("category", "severity")) == case.anomalies
        assert case.said in " ".join([result.reason, *anomalies.values_list("message", flat=True)])
        assert "s3cr3t" not in " ".join(anomalies.values_list("message", flat=True))
        assert not case.faults or any(entry.faults for entry in server.service.log.entries()[answered:])
        check_captures(case, before, catalogue)


def check_captures(case: Case, before: product.Held, catalogue: Catalogue) -> None:
    """What recovered has the restatement; what did not has left the latest capture as it was."""
    if case.outcome != Outcome.RESTATED:
        assert (product.held(KEY), Capture.objects.count()) == (before, 1)
    elif not {("REJECTED_ROWS", "WARN"), ("ODD_ROWS", "WARN")} & set(case.anomalies):
        assert product.held(KEY) == product.truth(catalogue.firm_rows(KEY, AFTER))
        assert Capture.objects.count() == 2


def test_the_table_has_more_than_thirty_kinds() -> None:
    assert len({fault.kind for case in CASES.values() for fault in case.faults}) > 30
    assert len(CASES) > 60


@pytest.mark.promise(4)
@pytest.mark.parametrize("empty", list(Empty))
def test_what_was_never_published_is_late_whichever_way_finra_says_it(engines: Engines, empty: Empty) -> None:
    catalogue = Catalogue([KEY.week_ending], Samples(securities=1), days_late={KEY: ALWAYS})
    service = Service(catalogue, Options(requests_per_second=None, empty=empty))
    with FinraServer(service) as server, engines.using("sqlite"):
        result = fetched(server, AFTER)
        assert (result.outcome, Capture.objects.count()) == (Outcome.LATE, 0)
        assert Anomaly.objects.get().category == "LATE"
