"""`python -m tests.dead_code`: functions, classes, methods and imports that nothing uses, tests and settings included."""

from __future__ import annotations

import sys
from pathlib import Path

from vulture import Vulture

ROOT = Path(__file__).resolve().parents[1]
OURS = ("manage.py", "marketspine", "pipeline")
USERS = ("tests", "benchmarks")  # what only these use is used
KINDS = {"class", "function", "import", "method", "unreachable_code"}
CALLED_BY_A_DECORATOR = ("@shared_task*", "@admin.*", "@receiver*", "@*.connect*", "@register*", "@pytest.*")
CALLED_BY_A_FRAMEWORK = {
    # Django: commands, models' fields, forms, middleware, migrations, error pages by their dotted name
    *("Command", "add_arguments", "handle", "db_type", "from_db_value", "get_db_prep_value", "to_python"),
    "get_internal_type",
    *("Media", "Meta", "process_view", "bad_request", "forbidden", "not_found", "internal_error", "Migration"),
    *("clean_args", "clean_as_of", "clean_capture", "clean_kwargs", "clean_user", "clean_week", "clean_zone"),
    # Django's admin
    *("change_view", "construct_change_message", "get_actions", "get_changeform_initial_data", "get_changelist"),
    *("get_readonly_fields", "get_search_results", "has_add_permission", "has_module_permission", "has_permission"),
    *("history_view", "lookups", "response_add", "response_action", "get_filters", "get_ordering", "save_model"),
    # named in the settings as text
    *("PipelineConfig", "SignInForm", "OfferedOnly", "Attempts", "client_address", "Bucket", "Probes", "notice"),
    *("with_what_is_shared", "cache_beside", "Counters", "WebWorker", "WebLogger", "dashboard", "LogFormatter"),
    # the REST framework and its schema
    *("BearerToken", "Limit", "MayRead", "EndpointSchema", "authenticate_credentials", "allow_request"),
    *("enforce_csrf", "finalize_response", "get_operation", "perform_content_negotiation"),
    # Celery and its result backends
    *(
        "include_if",
        "add_pending_result",
        "remove_pending_result",
        "on_task_call",
        "fixup",
        "worker_fixup",
        "close_database",
    ),
}
ENTRY_POINTS = {"to_polars"}  # of what the documents hand to a reader's own programs


def main() -> int:
    """Print what nothing uses; 1 when there is any."""
    vulture = Vulture(ignore_decorators=list(CALLED_BY_A_DECORATOR))
    vulture.scavenge([str(ROOT / name) for name in (*OURS, *USERS)], exclude=["*/migrations/*"])
    known = CALLED_BY_A_FRAMEWORK | ENTRY_POINTS
    unused = [
        item
        for item in vulture.get_unused_code(min_confidence=60)
        if item.typ in KINDS and item.name not in known and Path(item.filename).relative_to(ROOT).parts[0] in OURS
    ]
    for item in unused:
        print(f"{Path(item.filename).relative_to(ROOT)}:{item.first_lineno}: nothing uses the {item.typ} {item.name}")
    return 1 if unused else 0


if __name__ == "__main__":
    sys.exit(main())
