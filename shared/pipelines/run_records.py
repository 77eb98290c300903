"""Reads the runs that Azure ML's two services show: the pipelines service's entity and run history's record."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.core.redaction import redact
from shared.core.runs import FAILED, RunFacts
from shared.pipelines.service_json import (
    error_of,
    get_value,
    load_json,
    read_status,
    run_id_of,
    text_of,
)

CORRELATION_KEY = "submission"
"""The name of the tag and of the property that hold a run's correlation id (`[A-Za-z0-9_-]` only)."""


def read_run(content: bytes) -> RunFacts | None:
    """Return the run that a body shows, or None if it shows none."""
    return _run(load_json(content))


def read_runs(content: bytes) -> list[RunFacts] | None:
    """Return the runs that a body lists, or None if it is no list.

    An item that is no run is left out.
    """
    value = load_json(content)
    if isinstance(value, dict):
        value = get_value(value, "value")
    if not isinstance(value, list):
        return None
    return [run for item in value if (run := _run(item)) is not None]


def _run(record: object) -> RunFacts | None:
    run_id = run_id_of(record) or run_id_of(record, name="runid")
    if run_id is None:
        return None
    status = get_value(record, "status")
    word = read_status(status)
    detail = None
    if isinstance(status, dict):
        detail = text_of(get_value(status, "statusdetail"))
        status = get_value(status, "statuscode")
    word = word or redact(str(status), limit=100)
    error = get_value(record, "error")
    code, message = error_of(error if get_value(error, "error") else {"error": error})
    created = get_value(record, "createdutc") or get_value(record, "createddate")
    return RunFacts(
        id=run_id,
        status=word,
        created=_instant(created),
        error=(message or code or detail) if word in FAILED else None,
        correlation_id=_correlation_id(record),
    )


def _correlation_id(record: object) -> str | None:
    for field in ("tags", "properties"):
        found = get_value(get_value(record, field), CORRELATION_KEY)
        if isinstance(found, str):
            return found
    return None


def _instant(text: object) -> datetime | None:
    """Return an instant in UTC, or None if the text is none: not even in the years 1 or 9999 of another zone."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC) if found else None
    except (ValueError, OverflowError):
        return None
