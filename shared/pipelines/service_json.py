"""Reads the JSON of Azure ML's two services: the pipelines service writes PascalCase, run history camelCase.

Names are given in lower case, and match a key in any casing. Each returned text that a person may see is redacted.
"""

from __future__ import annotations

import json
from typing import Any

from shared.core.redaction import redact

RUN_STATUSES = ("NotStarted", "Running", "Failed", "Finished", "Canceled")
"""Ordered by number. The service writes numbers, in text, and is moving to names (azureml-pipeline-core 1.62.0,
`_aeva_provider.py`)."""

_MAX_RUN_ID = 255


def read_status(value: object) -> str | None:
    """Return a run's status as one word of `RUN_STATUSES`, or None if it is none of them.

    Args:
        value: The `Status` of an answer: a record with a `StatusCode`, or the code itself, as a name, a number or a
            number in text. An absent status means `NotStarted` (azureml-pipeline-core 1.62.0, `_aeva_provider.py`).
    """
    if isinstance(value, dict):
        value = get_value(value, "statuscode")
    if value is None:
        return RUN_STATUSES[0]
    text = str(value).strip().lower()
    for number, name in enumerate(RUN_STATUSES):
        if text in (str(number), name.lower()):
            return name
    return None


def load_json(content: bytes) -> object:
    """Return the JSON value of a body, or None if the body is not JSON. A byte order mark is allowed."""
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None


def get_value(record: object, name: str) -> Any:  # noqa: ANN401 — a JSON value
    """Return the value of a key in any casing, or None if the key is absent or the record is no object."""
    if not isinstance(record, dict):
        return None
    values = (value for key, value in record.items() if key.lower() == name and value is not None)
    return next(values, None)


def run_id_of(content: object, *, name: str = "id") -> str | None:
    """Return the id of a run, or None if the value cannot be an id."""
    value = get_value(content, name)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        return None
    return value.strip() if len(value) <= _MAX_RUN_ID else None


def error_of(content: object) -> tuple[str | None, str | None]:
    """Return the code and the message of an error, each None if absent.

    Three shapes are read: `{"error": {"code", "message"}}`, the same without `error`, and OAuth's.
    """
    error = get_value(content, "error")
    if isinstance(
        error, str
    ):  # OAuth's shape (RFC 6749 5.2), which a gateway in front of the service writes
        return redact(error, limit=100), text_of(get_value(content, "error_description"))
    record = error if isinstance(error, dict) else content
    code = text_of(get_value(record, "code"))
    return code and redact(code, limit=100), text_of(get_value(record, "message"))


def text_of(value: object) -> str | None:
    """Return a text or number as redacted text, or None if the value is empty or anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return redact(str(value)) or None
