"""FINRA's list of published partitions or, failing that, its list of downloads."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from typing import Any

from pipeline.finra.calendar import PartitionKey
from pipeline.finra.sources.api.decoding import NotRows, decode
from pipeline.finra.sources.api.fields import TIER, WEEK
from pipeline.finra.sources.api.queries import (
    HISTORIC,
    MOST_ROWS,
    SUMMARY,
    data_path,
    key_of,
    partitions_path,
    published_since,
)
from pipeline.finra.sources.api.replies import read_list
from pipeline.finra.sources.api.transport import Denied, Rejected, Transport
from pipeline.finra.sources.base import SourceError

logger = logging.getLogger(__name__)


def published(transport: Transport, keys: Collection[PartitionKey]) -> set[PartitionKey]:
    """The keys that FINRA has published, in weeklySummary or its history, as far as its lists tell.

    It takes one or two requests where the lists of partitions may be read, and a few for the list of downloads. Where no
    list may be read, it returns all `keys`: their own fetches find out. TransientSourceError as the transport raises it.
    """
    wanted = set(keys)
    if not wanted:
        return set()
    for look in (_of_partitions, _of_downloads):
        try:
            return wanted & look(transport, wanted)
        except (Denied, Rejected, NotRows) as error:
            logger.warning("a list of what FINRA has published cannot be read: %s", error)
    logger.warning("no list of what FINRA has published can be read: each partition is asked for by itself")
    return wanted


def _of_partitions(transport: Transport, wanted: set[PartitionKey]) -> set[PartitionKey]:
    found = _listed(transport, SUMMARY)
    return found if wanted <= found else found | listed_history(transport)


def _of_downloads(transport: Transport, wanted: set[PartitionKey]) -> set[PartitionKey]:
    return set(_downloads(transport, wanted))


def listed_history(transport: Transport) -> set[PartitionKey]:
    """The partitions in the list of weeklySummaryHistoric; none where that list cannot be read."""
    try:
        return _listed(transport, HISTORIC)
    except SourceError as error:
        logger.warning("the list of FINRA's history cannot be read: %s", error)
        return set()


def _listed(transport: Transport, dataset: str) -> set[PartitionKey]:
    """The partitions of a dataset, without market-wide ones (tier NA)."""
    return set(_partitions(transport.get(partitions_path(dataset)).body))


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
        reply = transport.post(data_path(query.dataset), query.page(offset, MOST_ROWS))
        page, rows = read_list(query, offset, MOST_ROWS, reply)
        yield from (key for row in rows if (key := key_of(str(row.get(WEEK)), str(row.get(TIER)))) is not None)
        offset, total = page.end, page.total
        if not rows:
            return
