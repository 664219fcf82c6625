"""What the database itself can load: rows into a table of numbers with one index, by COPY, or by executemany on SQLite.

The table is the leanest that rows were ever kept in here (docs/adr/0004): numbers for names, millionths for decimals, the
primary key as the only index, two checks, and the trigger that every first row met. What the product writes is measured
against it, as it always was.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

import polars as pl
from django.db import connection, transaction

from pipeline.finra.rows import FIRM

TABLE = "raw_rows"
MAKE = f"""
    CREATE TABLE {TABLE} (
        partition_id integer NOT NULL, security_id integer NOT NULL, venue_id integer NOT NULL,
        product_type varchar(40) NOT NULL, first_version integer NOT NULL, last_version integer NULL,
        last_update_date date NOT NULL, shares_micros bigint NOT NULL, trades bigint NOT NULL, notional_micros bigint NULL,
        CONSTRAINT raw_versions_in_order
            CHECK (first_version >= 1 AND (last_version IS NULL OR last_version >= first_version)),
        CONSTRAINT raw_figures_not_negative
            CHECK (shares_micros >= 0 AND trades >= 0 AND (notional_micros IS NULL OR notional_micros >= 0)),
        PRIMARY KEY (partition_id, security_id, venue_id, product_type, first_version))
"""
STORED = "SELECT 1 FROM pipeline_partition AS part WHERE part.id = {row}.partition_id AND part.latest_id IS NOT NULL"
TRIGGER = {
    "postgresql": f"""
        CREATE FUNCTION raw_rows_enter_in_time() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF EXISTS (SELECT 1 FROM entered WHERE first_version = 1 AND EXISTS ({STORED.format(row="entered")})) THEN
                RAISE EXCEPTION 'too late';
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER raw_rows_enter_in_time AFTER INSERT ON {TABLE} REFERENCING NEW TABLE AS entered
            FOR EACH STATEMENT EXECUTE FUNCTION raw_rows_enter_in_time()
    """,
    "sqlite": f"""
        CREATE TRIGGER raw_rows_enter_in_time BEFORE INSERT ON {TABLE} WHEN NEW.first_version = 1
            BEGIN SELECT RAISE(ABORT, 'too late') WHERE EXISTS ({STORED.format(row="NEW")}); END
    """,
}
FIRST_PARTITION = 1_000_001  # the product's own are below
COLUMNS = (
    "partition_id, security_id, venue_id, product_type, first_version, last_update_date, "
    "shares_micros, trades, notional_micros"
)
NULL = r"\N"


def make_table() -> None:
    """An empty table in the database."""
    with connection.cursor() as cursor:
        cursor.execute(MAKE)
        cursor.execute(TRIGGER[connection.vendor])


def clear() -> None:
    """Empty the table again, in a transaction of its own."""
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {TABLE}" if connection.vendor == "postgresql" else f"DELETE FROM {TABLE}")


def prepared(frame: pl.DataFrame, partition: int = FIRST_PARTITION) -> Callable[[], None]:
    """The load of a partition's rows in one transaction, with nothing left to do but the load.

    One COPY of ready bytes, or one executemany of ready rows.
    """
    load = _load(_numbered(frame, partition))

    def load_at_once() -> None:
        with transaction.atomic():
            load()

    return load_at_once


def seconds(frames: Iterable[pl.DataFrame]) -> float:
    """How long the loads of these partitions take, one after the other; what is done to prepare each does not count."""
    total = 0.0
    for number, frame in enumerate(frames, FIRST_PARTITION):
        load = prepared(frame, number)
        started = time.perf_counter()
        load()
        total += time.perf_counter() - started
    return total


def _numbered(frame: pl.DataFrame, partition: int) -> pl.DataFrame:
    """The rows with numbers in the place of names, in the order of the primary key."""
    security = pl.struct("symbol", "issue_name").rank("dense")
    venue = pl.struct("venue_kind", "mpid", "crd", FIRM).rank("dense")
    return frame.select(
        pl.lit(partition).alias("partition"),
        security.alias("security"),
        venue.alias("venue"),
        "product_type",
        pl.lit(1).alias("first_version"),
        pl.col("last_update_date").cast(pl.String),
        pl.col("shares").to_physical(),
        "trades",
        pl.col("notional").to_physical(),
    ).sort("security", "venue", "product_type")


def _load(rows: pl.DataFrame) -> Callable[[], None]:
    if connection.vendor == "postgresql":
        return _copy(
            rows.write_csv(separator="\t", include_header=False, null_value=NULL, quote_style="never").encode()
        )
    return _executemany(rows.cast(pl.String).rows())


def _copy(payload: bytes) -> Callable[[], None]:
    def load() -> None:
        with connection.cursor() as cursor, cursor.copy(f"COPY {TABLE} ({COLUMNS}) FROM STDIN") as copy:
            copy.write(payload)

    return load


def _executemany(rows: Sequence[tuple[str | None, ...]]) -> Callable[[], None]:
    places = ", ".join(["%s"] * len(COLUMNS.split(",")))

    def load() -> None:
        with connection.cursor() as cursor:
            cursor.executemany(f"INSERT INTO {TABLE} ({COLUMNS}) VALUES ({places})", rows)

    return load
