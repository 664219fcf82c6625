"""A large ledger made by set-based SQL on PostgreSQL: consistent enough for every page of the admin, made in two minutes.

`weeks` x 3 tiers x 3 captures with their vintage files (69 million rows in the latest of 260 weeks), runs five days a week
with 18 partitions each, three analytics snapshots a week, an anomaly for one in ten tries.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from glob import glob
from typing import Any

from django.db import connection, transaction

from benchmarks.databases import on_postgresql, stored_in
from benchmarks.large_vintages import ROWS, write_all
from pipeline.finra.calendar import fully_due_weeks, last_fridays, market_today
from pipeline.models import Capture
from pipeline.runs.request import Request
from pipeline.weeks.analytics import CALCULATION_VERSION

HELD = ", ".join(f"('{tier}', {rows})" for tier, rows in ROWS.items())
TIERS = "('NMS_TIER_1', 0), ('NMS_TIER_2', 1), ('OTC', 2)"
HASH = "encode(sha256(({0})::text::bytea), 'hex')"

BEFORE = "SET LOCAL session_replication_role = replica"  # no trigger, no foreign key is checked row by row
STATEMENTS = (
    f"""INSERT INTO pipeline_partition (week_ending, tier, newest_version)
        SELECT %(newest)s::date - 7 * w, tier, 3
        FROM generate_series(0, %(weeks)s - 1) AS w, (VALUES {TIERS}) AS t(tier, n) ORDER BY 1, 2""",
    f"""INSERT INTO pipeline_capture (partition_id, version, capture_id, kind, reason, requested_by, request_reason,
            captured_on, captured_at, normalized_at, pinned, pin_note, source, payload_uri, payload_format, payload_sha256,
            payload_bytes, last_update_date, source_opinion, parser_version, content_hash, rows_in, rows_kept,
            rows_rejected, rows_non_ats, shares, shares_non_ats, trades,
            rows_added, rows_changed, rows_removed, rows_unchanged, cause, position,
            vintage_path, vintage_bytes, vintage_sha256)
        SELECT p.id, v, 'finra.otc_transparency:' || tier || ':' || week_ending || ':' || to_char(on_day, 'YYYYMMDD'),
            CASE v WHEN 1 THEN 'FIRST' ELSE 'RESTATEMENT' END, 'made for a benchmark', 'beat', '', on_day, on_day, on_day,
            false, '', 'files', 'files:benchmark', 'psv', {HASH.format("p.id * 10 + v")}, 700000, on_day, '', 1,
            {HASH.format("p.id * 100 + v")}, held, held, 0, held / 2, 1000000, 0, 20000,
            CASE v WHEN 1 THEN held ELSE 0 END, CASE v WHEN 1 THEN 0 ELSE held / 1000 END, 0,
            CASE v WHEN 1 THEN 0 ELSE held - held / 1000 END, 'SOURCE', p.id * 10 + v, 'to be written', 0, 'to be written'
        FROM pipeline_partition AS p, generate_series(1, 3) AS v,
            LATERAL (SELECT week_ending + CASE tier WHEN 'NMS_TIER_1' THEN 4 ELSE 18 END + 14 * v AS on_day) AS days,
            LATERAL (SELECT held FROM (VALUES {HELD}) AS t(name, held) WHERE name = tier) AS size""",
    "INSERT INTO pipeline_feedcounter (id, last) SELECT 1, max(position) FROM pipeline_capture",
    """UPDATE pipeline_partition AS p SET latest_id = c.id
        FROM pipeline_capture AS c WHERE c.partition_id = p.id AND c.version = 3""",
    """INSERT INTO pipeline_run (trigger, command, parameters, parameters_hash, requested_by, reason, run_date, status,
            worker, created_at, heartbeat_at, finished_at, schedule, cancelled_by, cancel_reason)
        SELECT 'CLI', 'run_weekly', %(parameters)s::jsonb, '', 'operator', '', %(newest)s::date - g, 'SUCCEEDED', '',
            %(newest)s::date - g, %(newest)s::date - g, %(newest)s::date - g + interval '70 seconds', '', '', ''
        FROM generate_series(%(weeks)s * 7, 1, -1) AS g WHERE g %% 7 > 1""",
    """INSERT INTO pipeline_runpartition (run_id, partition_id, action, plan_reason, status, outcome, reason, attempts,
            worker, queued_at, sendings, started_at, finished_at)
        SELECT r.id, p.id, 'INGEST', 'look for a restatement', 'DONE',
            CASE WHEN (r.id + p.id) %% 10 = 0 THEN 'FAILED' ELSE 'UNCHANGED' END, 'made for a benchmark', 1, '',
            created_at, 1, created_at, finished_at
        FROM pipeline_run AS r JOIN pipeline_partition AS p ON p.week_ending BETWEEN r.run_date - 77 AND r.run_date - 36""",
    """INSERT INTO pipeline_runweek (run_id, week_ending, closed_at, calculation, reason)
        SELECT DISTINCT r.id, p.week_ending, r.finished_at, 'UNCHANGED', ''
        FROM pipeline_run AS r JOIN pipeline_runpartition AS s ON s.run_id = r.id
        JOIN pipeline_partition AS p ON p.id = s.partition_id""",
    f"""INSERT INTO pipeline_anomaly (category, severity, message, partition_id, stage, run_id, payload_sha256,
            fingerprint, occurrences, first_seen_at, last_seen_at, resolved_at, resolved_by, note)
        SELECT 'FETCH_FAILED', 'ERROR', 'made for a benchmark ' || id, partition_id, 'RAW', run_id, '', {HASH.format("id")},
            1, queued_at, queued_at, CASE WHEN id %% 40 = 0 THEN NULL ELSE queued_at END,
            CASE WHEN id %% 40 = 0 THEN '' ELSE 'operator' END, CASE WHEN id %% 40 = 0 THEN '' ELSE 'mended' END
        FROM pipeline_runpartition WHERE outcome = 'FAILED'""",
    f"""INSERT INTO pipeline_manifest (capture_id, stage, rows_in, rows_kept, rows_rejected, shares, trades, checksum,
            duration, completed_at)
        SELECT id, stage, rows_in, rows_kept, 0, shares, trades, {HASH.format("id")}, interval '2 seconds', captured_at
        FROM pipeline_capture, (VALUES ('RAW'), ('NORMALIZED')) AS s(stage)""",
    f"""INSERT INTO pipeline_analyticssnapshot (week_ending, sequence, calculation_version, inputs_hash, computed_at,
            symbols_path, symbols_bytes, symbols_sha256)
        SELECT week_ending, version, %(calculation)s, {HASH.format("week_ending || ':' || version")}, max(captured_at),
            'none is read', 0, ''
        FROM pipeline_capture AS c JOIN pipeline_partition AS p ON p.id = c.partition_id GROUP BY week_ending, version""",
    """INSERT INTO pipeline_analyticssnapshot_inputs (analyticssnapshot_id, capture_id)
        SELECT s.id, c.id FROM pipeline_analyticssnapshot AS s JOIN pipeline_partition AS p USING (week_ending)
        JOIN pipeline_capture AS c ON c.partition_id = p.id AND c.version = s.sequence""",
    """INSERT INTO pipeline_venuevolume (snapshot_id, scope, venue_kind, mpid, crd, venue_name, shares, trades, symbols,
            share, rank)
        SELECT s.id, scope, 'ATS', 'V' || to_char(g, 'FM000'), '', 'ATS ' || g, g * 1000, g, 500, g / 990.0, 45 - g
        FROM pipeline_analyticssnapshot AS s, generate_series(1, 44) AS g,
            (VALUES ('ALL'), ('NMS_TIER_1'), ('NMS_TIER_2'), ('OTC')) AS c(scope)""",
    """INSERT INTO pipeline_marketconcentration (snapshot_id, scope, family, shares, trades, venues, hhi_low, hhi_high,
            symbols)
        SELECT s.id, scope, 'ATS', 990000, 990, 44, 0.1, 0.1, 4000 FROM pipeline_analyticssnapshot AS s,
            (VALUES ('ALL'), ('NMS_TIER_1'), ('NMS_TIER_2'), ('OTC')) AS c(scope)""",
    """INSERT INTO pipeline_readiness (week_ending, use, state, reasons, reason_codes, snapshot_id, since, decided_at)
        SELECT week_ending, use, 'READY', '[]', '[]', id, computed_at, computed_at FROM pipeline_analyticssnapshot,
            (VALUES ('trading'), ('compliance'), ('research')) AS u(use) WHERE sequence = 3""",
    """INSERT INTO pipeline_operatorlogentry (at, operator, act, reason, outcome, sentence)
        SELECT captured_at, 'operator', 'PIN', 'made for a benchmark', 'DONE', 'pinned' FROM pipeline_capture""",
    """INSERT INTO pipeline_operatorlogsubject (entry_id, kind, key, label)
        SELECT id, 'capture', id::text, 'capture ' || id FROM pipeline_operatorlogentry""",
)


@contextmanager
def large_ledger(weeks: int) -> Iterator[None]:
    """So many weeks, up to the newest that is due, behind `default`, with their files; says how large they are."""
    with tempfile.TemporaryDirectory() as folder, on_postgresql(), stored_in(folder):
        begun = time.perf_counter()
        request = Request(command="run_weekly", run_date=market_today())
        newest = fully_due_weeks(1, market_today())[0]
        rows = build(weeks, newest, json.dumps(request.parameters()), CALCULATION_VERSION)
        print(f"{weeks} weeks, {Capture.objects.count():,} captures, {rows:,} rows in {_size(folder)}, ", end="")
        print(f"made in {time.perf_counter() - begun:.0f} s", flush=True)
        yield


def _size(folder: str) -> str:
    """What the files take on the disk, one under two names once."""
    files = {status.st_ino: status.st_size for status in map(os.stat, glob(f"{folder}/**/*.parquet", recursive=True))}
    return f"{sum(files.values()) / 1e6:,.0f} MB"


def build(weeks: int, newest: date, parameters: str, calculation: int) -> int:
    """Fill the migrated, empty PostgreSQL behind `default` and the storage; how many rows the vintages have."""
    given: dict[str, Any] = {
        "weeks": weeks,
        "newest": last_fridays(1, newest)[0],
        "parameters": parameters,
        "calculation": calculation,
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(BEFORE)
        for statement in STATEMENTS:
            cursor.execute(statement, given)
    rows = write_all()
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE)")
    return rows
