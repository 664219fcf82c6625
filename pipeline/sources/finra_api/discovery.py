"""What FINRA has published: its list of partitions, or failing that its list of downloads, or failing that week by week."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from pipeline.calendar import PartitionKey
from pipeline.sources.finra_api.pages import TIER, WEEK, NotRows, decode
from pipeline.sources.finra_api.paging import read_page
from pipeline.sources.finra_api.questions import (
    CODES,
    HISTORIC,
    MOST_ROWS,
    SUMMARY,
    counted,
    data_path,
    key_of,
    of_history,
    partitions_path,
    published_since,
)
from pipeline.sources.finra_api.transport import Denied, Transport


def published(transport: Transport, keys: Collection[PartitionKey]) -> set[PartitionKey]:
    """Which of `keys` FINRA has published, in weeklySummary or its history.

    One or two requests where the lists of partitions may be read, and a few for the list of downloads. SourceError,
    TransientSourceError as the transport raises them.
    """
    wanted = set(keys)
    if not wanted:
        return set()
    try:
        found = wanted & _listed(transport, SUMMARY)
        return found if found == wanted else found | wanted & _listed_history(transport)
    except (Denied, NotRows):
        return _otherwise(transport, wanted)


def _otherwise(transport: Transport, wanted: set[PartitionKey]) -> set[PartitionKey]:
    try:
        return wanted & set(_downloads(transport, wanted))
    except (Denied, NotRows):
        return {key for key in wanted if is_published(transport, key)}


def is_published(transport: Transport, key: PartitionKey) -> bool:
    """Whether a partition has rows, asked for one row at a time."""
    return any(_has_rows(transport, key, code) for code in CODES[key.tier])


def _has_rows(transport: Transport, key: PartitionKey, code: str) -> bool:
    history = of_history(key, code)
    for dataset, question in ((SUMMARY, counted(key, code)), (HISTORIC, history.page(0, 1))):
        try:
            reply = transport.post(data_path(dataset), question)
        except Denied:
            if dataset == HISTORIC:  # a history that is not for everybody has nothing for us
                return False
            raise
        if reply.status != 204 and decode(reply.body):
            return True
    return False


def _listed(transport: Transport, dataset: str) -> set[PartitionKey]:
    """The partitions of a dataset; market-wide ones (tier NA) are none of ours."""
    return set(_partitions(transport.get(partitions_path(dataset)).body))


def _listed_history(transport: Transport) -> set[PartitionKey]:
    """Those of the history; nobody is denied the rest because that dataset is not for everybody."""
    try:
        return _listed(transport, HISTORIC)
    except Denied:
        return set()


def _partitions(body: bytes) -> Iterator[PartitionKey]:
    for names, values in _listing(body):
        place = dict(zip(names, values, strict=False))
        key = key_of(str(place.get(WEEK)), str(place.get(TIER)))
        if key is not None:
            yield key


def _listing(body: bytes) -> Iterator[tuple[list[Any], list[Any]]]:
    """The fields and values of each partition listed; NotRows for anything else."""
    rows = decode(b"[" + body + b"]")
    try:
        listed = [
            (list(rows[0]["partitionFields"]), list(each["partitions"])) for each in rows[0]["availablePartitions"]
        ]
    except (KeyError, TypeError, IndexError) as error:
        raise NotRows("the list of partitions is not what it was") from error
    yield from listed


def _downloads(transport: Transport, wanted: set[PartitionKey]) -> Iterator[PartitionKey]:
    """The partitions in the list of downloads, which has a row for each of their cuts."""
    query = published_since(min(key.week_ending for key in wanted))
    offset, total = 0, 1
    while offset < total:
        page, rows = read_page(query, offset, transport.post(data_path(query.dataset), query.page(offset, MOST_ROWS)))
        yield from (key for row in rows if (key := key_of(str(row.get(WEEK)), str(row.get(TIER)))) is not None)
        offset, total = page.end, page.total
        if not rows:
            return
