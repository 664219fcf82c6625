"""The markets of a snapshot, a scope and a family each, and the links by which its pages switch between them."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlencode

from pipeline.models import ALL_TIERS, Family
from pipeline.models.analytics import SCOPES

FAMILIES = list(Family.values)


class Market(NamedTuple):
    """A scope and a family."""

    scope: str
    family: str

    @property
    def scope_name(self) -> str:
        """The tier, or "all tiers"."""
        return "all tiers" if self.scope == ALL_TIERS else self.scope

    @property
    def name(self) -> str:
        """ "OTC, ATS"."""
        return f"{self.scope_name}, {Family(self.family).label}"

    @property
    def place(self) -> tuple[int, int]:
        """The order of markets: tier by tier, then all tiers; ATS, non-ATS, both."""
        return SCOPES.index(self.scope), FAMILIES.index(self.family)

    def query(self, symbol: str = "") -> str:
        """The query of its address, for symbols that begin so."""
        return urlencode({"scope": self.scope, "kind": self.family, **({"symbol": symbol} if symbol else {})})


class Choice(NamedTuple):
    """A market as a link of a page; `here` for the one shown."""

    name: str
    query: str
    here: bool
