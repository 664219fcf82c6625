"""What stands beside the title: may the week be used, does anything lack, was it restated, when was it checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone

from pipeline import readers
from pipeline.admin.market.tables import Record
from pipeline.admin.shared import figures
from pipeline.admin.shared.base import LOOKS, UNKNOWN
from pipeline.models import Use
from pipeline.readers import Result

LATER = "restated_later"


@dataclass(frozen=True, slots=True)
class Chip:
    """A few words in a colour, with an icon that says the same; `title` says more, `url` leads to what is behind it."""

    text: str
    tone: str
    icon: str
    title: str = ""
    url: str = ""


def chips_of(week: date, *answers: Result) -> tuple[Chip, ...]:
    """Those of a week and of the answers that are shown of it."""
    [of_week] = readers.weeks(week_ending=week).frame.iter_rows(named=True)
    chips = (_readiness(of_week), _coverage(answers), _restated(of_week, answers), _checked(of_week))
    return tuple(chip for chip in chips if chip)


def _readiness(of_week: Record) -> Chip:
    """Whether the week may be used for trading; the others stand behind it."""
    uses = {use: of_week[f"state_{use.value}"] or "never judged" for use in Use}
    state = uses[Use.TRADING]
    tone, icon = LOOKS.get(state, UNKNOWN)
    title = f"Week {of_week['week_ending']}: " + ", ".join(f"{use.value} {_words(said)}" for use, said in uses.items())
    return Chip(f"trading: {_words(state)}", tone, icon, title, _of_week("readiness", of_week))


def _coverage(answers: tuple[Result, ...]) -> Chip:
    """Whether all that was asked for is there."""
    missing = dict.fromkeys(one for answer in answers for one in answer.meta.coverage.missing)
    if not missing:
        return Chip("complete", "good", "done_all", "Every partition that is asked for is in the figures")
    names = [f"{one.key} ({_words(one.state)})" for one in missing]
    text = f"{len(names):,} partition{'s' if len(names) > 1 else ''} lacking"
    return Chip(text, "soft", "data_alert", "; ".join(names[:5]) + ("; ..." if len(names) > 5 else ""))


def _restated(of_week: Record, answers: tuple[Result, ...]) -> Chip | None:
    """Whether there is a newer vintage than the one that is shown, or the shown one is not the first."""
    url = _of_week("partition", of_week)
    if any(one.code == LATER for answer in answers for one in answer.warnings):
        return Chip(
            "restated since", "news", "published_with_changes", "A newer vintage than the one shown exists", url
        )
    if of_week["restated"]:
        title = f"FINRA restated week {of_week['week_ending']} since it was first captured"
        return Chip("restated since first published", "news", "published_with_changes", title, url)
    return None


def _checked(of_week: Record) -> Chip | None:
    """When the source was last asked for the week."""
    then = of_week["last_checked_at"]
    if then is None:
        return None
    title = f"The source was last asked for week {of_week['week_ending']} at {then:%Y-%m-%d %H:%M} UTC"
    return Chip(f"checked {figures.ago(then, timezone.now())}", "calm", "schedule", title)


def _words(state: str) -> str:
    return state.replace("_", " ").lower()


def _of_week(model: str, of_week: Record) -> str:
    """A list of the admin, of one week."""
    week = of_week["week_ending"].isoformat()
    query = urlencode({"week_ending_from": week, "week_ending_to": week})
    return f"{reverse(f'admin:pipeline_{model}_changelist')}?{query}"
