"""Steering a service of another process over its own socket: the date, faults and the log. Not FINRA's.

GET  /_service/log                     the requests so far
POST /_service/today  {"date": "2026-01-05"}
POST /_service/faults {"kind": "status", "status": 503, "times": 3}    `{}` clears them
"""

from __future__ import annotations

from dataclasses import fields
from datetime import date

from tests.fake_finra.exchange import Asked, Reply, error_reply, json_reply
from tests.fake_finra.faults import Fault, Kind
from tests.fake_finra.service import Service

CONTROL = "/_service/"
PARAMETERS = frozenset(field.name for field in fields(Fault)) - {"kind", "spoilt", "seen"}


def steer(service: Service, asked: Asked) -> Reply:
    """Answer a request to the control paths; 400 says what was wrong with it."""
    wanted = asked.payload if isinstance(asked.payload, dict) else {}
    try:
        match asked.method, asked.path.removeprefix(CONTROL):
            case "GET", "log":
                return json_reply(200, service.log.plain())
            case "POST", "today":
                service.today = date.fromisoformat(str(wanted.get("date")))
                return json_reply(200, {"date": service.today.isoformat()})
            case "POST", "faults":
                return _fault(service, wanted)
    except (ValueError, TypeError) as error:
        return error_reply(400, str(error))
    return error_reply(404, "Unknown control")


def _fault(service: Service, wanted: dict[str, object]) -> Reply:
    if not wanted:
        service.faults.clear()
        return json_reply(200, {})
    unknown = wanted.keys() - PARAMETERS - {"kind"}
    if unknown:
        raise ValueError(f"unknown parameters: {', '.join(sorted(unknown))}")
    parameters = {name: value for name, value in wanted.items() if name != "kind"}
    service.faults.add(Fault(Kind(wanted.get("kind")), **parameters))  # type: ignore[arg-type]
    return json_reply(200, {"kind": str(wanted["kind"])})
