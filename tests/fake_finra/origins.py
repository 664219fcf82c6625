"""Where the first vintage of a partition comes from: the sample generator, or FINRA's real files where they are present."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from itertools import chain
from pathlib import Path
from typing import Protocol
from zlib import crc32

from pipeline.finra.calendar import PartitionKey, Tier, due_date
from pipeline.finra.payloads import PartName
from pipeline.finra.samples import Size, mark, render
from pipeline.finra.sources.files.file_names import file_name
from tests.fake_finra.rows import FirmRow, FirmRows

POOL = "De Minimis Firms"  # CRD 0: every non-ATS firm under 200 trades a day in the security
NOTIONAL_SINCE = date(2024, 1, 1)  # "newer rows only"; the day is the service's choice
CENT = Decimal("0.01")
TAPE_CHANGED = "KESPD"  # changes tape in the middle of every week: a CTS and a UTP row at each venue


class Origin(Protocol):
    """What is first published of a partition."""

    def first(self, key: PartitionKey) -> FirmRows:
        """The rows by symbol and firm of the first vintage."""
        ...


@dataclass(frozen=True, slots=True)
class Samples:
    """The project's sample publications, with the columns that only the API has.

    `securities` keeps the rows of the first so many securities. `tapes` gives one symbol two product types in a week;
    without, each row is a line of the sample files. `ats_crd` gives ATS rows a CRD number, too. `marked` says of every
    venue that it is invented, so that nothing takes the rows for FINRA's.
    """

    seed: int = 1
    size: Size = Size.SMALL
    securities: int | None = None
    tapes: bool = True
    ats_crd: bool = True
    marked: bool = False

    def first(self, key: PartitionKey) -> FirmRows:
        """Drawn from the seed: the same on any machine, whatever else is published."""
        published = due_date(key.tier, key.week_ending).isoformat()
        rows = chain.from_iterable(_read(self._drawn(key, part), key, published) for part in PartName)
        kept = tuple(row if self.ats_crd or not row.is_ats else replace(row, crd=None) for row in rows)
        if self.securities is not None:
            kept = _of_the_first(kept, self.securities)
        return tuple(chain.from_iterable(map(_tapes, kept))) if self.tapes else kept

    def _drawn(self, key: PartitionKey, part: PartName) -> bytes:
        drawn = render(key, part, self.seed, self.size)
        return mark(drawn) if self.marked else drawn


@dataclass(frozen=True, slots=True)
class Files:
    """FINRA's web files of a folder; `otherwise` for what is not in it, be it a partition or one of its two families."""

    folder: Path
    otherwise: Origin

    def first(self, key: PartitionKey) -> FirmRows:
        """The rows of the files as downloaded, with their lastUpdateDates."""
        published = due_date(key.tier, key.week_ending).isoformat()
        paths = {part: path for part in PartName if (path := self.folder / file_name(key, part)).is_file()}
        lacking = [part is PartName.ATS for part in PartName if part not in paths]
        rows = chain.from_iterable(_read(path.read_bytes(), key, published) for path in paths.values())
        others = self.otherwise.first(key) if lacking else ()
        return (*rows, *(row for row in others if row.is_ats in lacking))


@dataclass(frozen=True, slots=True)
class With:
    """Another origin, and some rows more."""

    origin: Origin
    more: Mapping[PartitionKey, FirmRows]

    def first(self, key: PartitionKey) -> FirmRows:
        """The origin's rows, then the others."""
        return (*self.origin.first(key), *self.more.get(key, ()))


def _read(content: bytes, key: PartitionKey, published: str) -> Iterator[FirmRow]:
    """The rows of a web file. The API names a venue without its MPID ("UBS ATS" for "UBSA UBS ATS")."""
    for line in content.decode().removesuffix("\n").split("\n")[1:]:
        _, symbol, issue, name, mpid, shares, trades, updated = line.split("|")
        firm = name.removeprefix(f"{mpid} ") if mpid else name
        quantity = Decimal(shares)
        yield FirmRow(
            is_ats=bool(mpid),
            symbol=symbol,
            issue_name=issue,
            product_type=_product_type(key.tier, symbol),
            mpid=mpid or None,
            crd=_crd(firm),
            firm=firm,
            shares=quantity,
            trades=int(trades),
            notional=_notional(key, symbol, issue, quantity),
            published=published,
            updated=updated,
        )


def _product_type(tier: Tier, symbol: str) -> str:
    if tier is Tier.OTC:
        return "OTC"
    return ("CTS", "UTP")[crc32(symbol.encode()) % 2]


def _crd(firm: str) -> int:
    return 0 if firm == POOL else crc32(firm.encode()) % 300_000 + 1


def _notional(key: PartitionKey, symbol: str, issue: str, shares: Decimal) -> Decimal | None:
    if key.week_ending < NOTIONAL_SINCE:
        return None
    price = Decimal(crc32(f"{symbol}|{issue}".encode()) % 50_000 + 10) / 100
    return (shares * price).quantize(CENT)


def _of_the_first(rows: FirmRows, securities: int) -> FirmRows:
    known = dict.fromkeys((row.symbol, row.issue_name) for row in rows)
    kept = set(list(known)[:securities])
    return tuple(row for row in rows if (row.symbol, row.issue_name) in kept)


def _tapes(row: FirmRow) -> Iterator[FirmRow]:
    """The row, or where its symbol changes tape and the row can be divided, one of each tape: together the same."""
    half = Decimal(int(row.shares) // 2)
    if row.symbol != TAPE_CHANGED or row.trades < 2 or not half:
        yield row
        return
    notional = None if row.notional is None else (row.notional / 2).quantize(CENT)
    rest = None if row.notional is None or notional is None else row.notional - notional
    first = replace(row, product_type="CTS", shares=half, trades=row.trades // 2, notional=notional)
    yield first
    yield replace(row, product_type="UTP", shares=row.shares - half, trades=row.trades - first.trades, notional=rest)
