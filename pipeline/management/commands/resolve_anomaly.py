"""`manage.py resolve_anomaly`: a person's word that an anomaly is dealt with."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from pipeline import operations
from pipeline.finra.calendar import parse_run_date
from pipeline.management.base import BadArguments, SpineCommand, add_run_date, operator
from pipeline.models import Anomaly, Readiness, Use
from pipeline.operations import Order, Refused


class Command(SpineCommand):
    """Resolve an anomaly with a note, and judge its week again."""

    help = "Resolve an open anomaly, with a note on what was found and done, and judge its week's readiness again."
    examples = (
        (
            "resolve_anomaly 5 --note 'fetched again; the first was an error page'",
            "end anomaly 5, and judge its week again",
        ),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """The anomaly, and the note."""
        parser.add_argument("anomaly", type=int, help="its number, as doctor prints it")
        parser.add_argument("--note", required=True, help="what you found and did; kept with the anomaly")
        parser.add_argument("--by", default=operator(), help="who resolves it (default: %(default)s)")
        add_run_date(parser)

    def work(self, **options: Any) -> int:
        """Resolve it, decide the week."""
        today = parse_run_date(options["run_date"])
        anomaly = Anomaly.objects.select_related("partition").filter(pk=options["anomaly"]).first()
        if anomaly is None:
            raise BadArguments(f"there is no anomaly {options['anomaly']}")
        self._check(anomaly, options)
        order = Order(operator=options["by"].strip(), reason=options["note"])
        try:
            operations.resolve([anomaly], order, today)
        except Refused as error:
            raise BadArguments(str(error)) from error
        week = anomaly.concerns_week
        verdicts = list(Readiness.objects.filter(week_ending=week)) if week else []
        if self.as_json:
            states = {verdict.use: verdict.state for verdict in sorted(verdicts, key=_in_order)}
            self.document({"anomaly": anomaly.pk, "week_ending": week, "readiness": states})
        self.line(f"Anomaly {anomaly.pk} resolved.")
        for verdict in sorted(verdicts, key=_in_order):
            self.line(f"{week} {verdict.use}: {verdict.state}{''.join(f'; {reason}' for reason in verdict.reasons)}")
        return 0

    def _check(self, anomaly: Anomaly, options: dict[str, Any]) -> None:
        """BadArguments for what cannot be; nothing is written down then."""
        if not options["by"].strip() or not options["note"].strip():
            raise BadArguments("an anomaly is resolved by someone, with a note")
        if anomaly.resolved_at is not None:
            raise BadArguments(f"anomaly {anomaly.pk} is not open")


def _in_order(verdict: Readiness) -> int:
    return Use.values.index(verdict.use)
