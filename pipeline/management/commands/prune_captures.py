"""`manage.py prune_captures`: plan what may be pruned, mark it, undo that, and remove what is due."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from pipeline import operations
from pipeline.keeping import plans
from pipeline.keeping.exclusive import Busy
from pipeline.keeping.plans import Outline
from pipeline.keeping.policy import BadPolicy, Policy
from pipeline.management.base import DRY_RUN, BadArguments, SpineCommand, add_mode, failed_if, operator
from pipeline.models import Capture, EntryState, PrunePlan
from pipeline.models.data_kinds import manage_py
from pipeline.operations import Order, Refused

SHOWN = 40


class Command(SpineCommand):
    """Plan first: nothing is marked before `--apply`, and nothing is removed before the undo window has passed."""

    help = (
        "Prune old vintages: plan (--older-than), mark what a plan prunes (--apply PLAN), take it back (--undo PLAN), "
        "and remove what has been marked for 14 days (--remove). Kept whatever is asked: the newest capture of a "
        "partition, pinned ones, those that a kept snapshot was computed from, and those with an open anomaly or a run "
        "under way. The capture itself stays in the ledger, without rows. Exit code: 0 done, 1 something that was to be "
        "removed is held, 2 could not run."
    )
    examples = (
        ("prune_captures --older-than 730 --keep-first --keep-yearly 10", "a plan: what would be pruned, and why"),
        ("prune_captures --apply 4 --reason 'the desk keeps two years'", "mark what plan 4 prunes"),
        ("prune_captures --remove", "remove what was marked 14 days ago"),
    )

    def add_own_arguments(self, parser: CommandParser) -> None:
        """The policy of a plan, or what to do with one."""
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument(
            "--older-than",
            type=int,
            metavar="DAYS",
            help="plan: captures that were superseded so long ago (35 or more)",
        )
        what.add_argument("--apply", type=int, metavar="PLAN", help="mark what a plan prunes")
        what.add_argument("--undo", type=int, metavar="PLAN", help="take back what a plan has marked")
        what.add_argument("--remove", action="store_true", help="remove what is marked and due")
        _add_policy(parser)
        add_mode(parser, "prints what would be pruned")
        parser.add_argument("--reason", default="", help="why, for the operator log (required to mark and to undo)")
        parser.add_argument("--i-mean", type=int, metavar="COUNT", help="how many captures a large plan prunes")
        parser.add_argument(
            "--no-backup-needed",
            default="",
            metavar="REASON",
            help="mark without a backup of the last week, and say why",
        )

    def work(self, **options: Any) -> int:
        """Do what was asked, print."""
        try:
            if options["older_than"] is not None:
                return self._plan(options)
            if options["mode"] == DRY_RUN:
                raise BadArguments("only a plan has a dry run: --older-than DAYS --mode dry-run")
            return self._remove() if options["remove"] else self._act(options)
        except (BadPolicy, Refused, Busy) as error:
            raise BadArguments(str(error)) from error

    def _plan(self, options: dict[str, Any]) -> int:
        policy = _policy(options)
        if options["mode"] == DRY_RUN:
            self._print_outline(plans.outline(policy))
            return 0
        plan = operations.plan_pruning(policy, Order(operator=operator(), reason=options["reason"]))
        if self.as_json:
            self.document(_as_document(plan))
        self._print_entries([(str(e.capture), e.state, e.reason) for e in plan.entries.select_related("capture")])
        self.line(f"Plan {plan.pk}: {operations.pruning.counted(plan)}.")
        if plan.prunable:
            self.line(f"Nothing is marked. Mark it: {manage_py()} prune_captures --apply {plan.pk} --reason TEXT")
        return 0

    def _print_outline(self, outline: Outline) -> None:
        names = dict(Capture.objects.values_list("pk", "capture_id"))
        states = {True: EntryState.PRUNE, False: EntryState.KEEP}
        entries = [(names[one.capture], states[one.is_pruned].value, one.reason) for one in outline.decisions]
        if self.as_json:
            shown = [{"capture_id": name, "state": state, "reason": reason} for name, state, reason in entries]
            self.document({"plan": None, "captures": shown})
        self._print_entries(entries)
        size = sum(outline.bytes.values())
        self.line(f"{len(outline.pruned):,} of {len(entries):,} captures, {size:,} bytes. No plan was stored.")

    def _print_entries(self, entries: list[tuple[str, str, str]]) -> None:
        """The first captures to be pruned; all of them are in the JSON document, and in the admin."""
        chosen = sorted(entries, key=lambda entry: entry[1] != EntryState.PRUNE)
        self.table("Captures", ("capture", "becomes", "why"), chosen[:SHOWN])
        if len(chosen) > SHOWN:
            self.line(f"and {len(chosen) - SHOWN:,} more: --json prints all")

    def _act(self, options: dict[str, Any]) -> int:
        number = options["apply"] if options["apply"] is not None else options["undo"]
        plan = PrunePlan.objects.filter(pk=number).first()
        if plan is None:
            raise BadArguments(f"there is no plan {number}")
        order = Order(operator=operator(), reason=options["reason"])
        if options["apply"] is None:
            entry = operations.undo_pruning(plan, order)
        else:
            unbacked = options["no_backup_needed"]
            entry = operations.mark_pruned(plan, order, count=options["i_mean"], unbacked_reason=unbacked)
        plan.refresh_from_db()
        if self.as_json:
            self.document(_as_document(plan))
        self.line(entry.sentence)
        return 0

    def _remove(self) -> int:
        found = []
        for one in operations.remove_pruned(Order(operator=operator())):
            self.line(f"{one.state:<8}  {one.capture}  {one.why}")
            found.append(one)
        freed = sum(one.bytes for one in found)
        if self.as_json:
            told = [{"capture_id": one.capture.capture_id, "state": one.state, "why": one.why} for one in found]
            self.document({"captures": told, "freed_bytes": freed})
        self.line(f"{freed:,} bytes freed." if found else "Nothing is due.")
        return failed_if(any(one.state == EntryState.HELD for one in found))


def _add_policy(parser: CommandParser) -> None:
    parser.add_argument("--keep-last", type=int, default=1, metavar="N", help="keep the newest N of a partition (1)")
    parser.add_argument("--keep-first", action="store_true", help="keep the first of a partition")
    parser.add_argument("--keep-monthly", type=int, default=0, metavar="N", help="keep the last of each of N months")
    parser.add_argument("--keep-yearly", type=int, default=0, metavar="N", help="keep the last of each of N years")
    parser.add_argument("--payloads", action="store_true", help="prune the payloads, too: nothing brings the rows back")
    parser.add_argument("--keep-snapshots", action="store_true", help="keep what any snapshot was computed from")


def _policy(options: dict[str, Any]) -> Policy:
    return Policy(
        older_than=options["older_than"],
        keep_last=options["keep_last"],
        keep_first=options["keep_first"],
        keep_monthly=options["keep_monthly"],
        keep_yearly=options["keep_yearly"],
        payloads=options["payloads"],
        snapshots=not options["keep_snapshots"],
    )


def _as_document(plan: PrunePlan) -> dict[str, object]:
    entries = plan.entries.select_related("capture")
    return {
        "plan": plan.pk,
        "state": plan.state,
        "policy": plan.policy,
        "digest": plan.digest,
        "prunable": plan.prunable,
        "prunable_bytes": plan.prunable_bytes,
        "remove_after": plan.remove_after,
        "captures": [{"capture_id": str(e.capture), "state": e.state, "reason": e.reason} for e in entries],
    }
