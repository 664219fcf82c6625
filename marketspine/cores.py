"""polars in a process: how many threads it starts, how long it keeps freed memory, and no fork after its first use.

polars starts its threads when it is first used, not when it is imported. A child that is forked after that has none of
them, and waits for them for ever (docs/adr/0035).
"""

from __future__ import annotations

import os
from pathlib import Path

from celery.utils.sysinfo import cpu_budget  # type: ignore[attr-defined] # the stubs are of an earlier release

OWN_TASKS = Path("/proc/self/task")
STARTED_WITH_USE = ("polars-", "tokio-rt-worker", "async-executor-")
STARTED_WITH_IMPORT = "polars-ooc-"
REFUSED = (
    "polars was used in this process before it starts its child processes. They would hang: they have none of its threads. "
    "Use it in tasks and requests only, never while the product is imported."
)


KEPT_MEMORY = "dirty_decay_ms:10000,muzzy_decay_ms:10000"


def keep_freed_memory() -> None:
    """Let polars give memory back 10 s after it was freed, instead of 0.5 s. To be called before polars is imported.

    A process that reads one payload after another then takes the same pages again: the kernel clears a fifth as many.
    """
    os.environ.setdefault("_RJEM_MALLOC_CONF", KEPT_MEMORY)


def available() -> int:
    """The cores that the process may use, by its affinity and by the quota of its container."""
    return int(cpu_budget().count)


def share(cores: int, processes: int) -> None:
    """Limit polars, here or in a child, to its share of the cores in threads, one at least.

    polars has read its environment when it was imported, and starts its threads with its first use.
    """
    import polars  # noqa: PLC0415 - `keep_freed_memory` comes before

    os.environ["POLARS_MAX_THREADS"] = f"{max(1, cores // processes)}"
    polars.Config.reload_env_vars()


def polars_was_used() -> bool:
    """Whether this process has threads of polars that a child would lack. False without /proc: not on Linux."""
    if not OWN_TASKS.exists():
        return False
    names = map(_name_of, OWN_TASKS.iterdir())
    return any(name.startswith(STARTED_WITH_USE) and not name.startswith(STARTED_WITH_IMPORT) for name in names)


def _name_of(thread: Path) -> str:
    """The name of a thread; none where it has just ended."""
    try:
        return (thread / "comm").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
