"""JSON as Azure ML's two services write it: the pipelines service in PascalCase, run history in camelCase.

Names are asked for in lower case, whatever the casing of the keys; every text that is returned is redacted.
"""

from __future__ import annotations

import json
from typing import Any

from shared.core.redaction import redact

RUN_STATUSES = ("NotStarted", "Running", "Failed", "Finished", "Canceled")
"""By number; the service is moving from numbers, in text, to names (azureml-pipeline-core 1.62.0,
`_aeva_provider.py`)."""

_MAX_RUN_ID = 255


def read_status(value: object) -> str | None:
    """Return a run's status as one word of `RUN_STATUSES`, or None for a word that is none of them.

    Args:
        value: `Status` of an answer: a record with `StatusCode`, or the code itself, as a name, a number or a number
            in text. No status at all means `NotStarted` (azureml-pipeline-core 1.62.0, `_aeva_provider.py`).
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
    """Return the JSON value of a body, or None where it is none."""
    try:
        return json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None


def get_value(record: object, name: str) -> Any:  # noqa: ANN401 — a JSON value
    """Return a key's value whatever the key's casing; one that is null counts as absent."""
    if not isinstance(record, dict):
        return None
    values = (value for key, value in record.items() if key.lower() == name and value is not None)
    return next(values, None)


def run_id_of(content: object, *, name: str = "id") -> str | None:
    """Return a run's id, or None for what cannot be one."""
    value = get_value(content, name)
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        return None
    return value.strip() if len(value) <= _MAX_RUN_ID else None


def error_of(content: object) -> tuple[str | None, str | None]:
    """Return the code and the message of either error shape (azureml-rest.md 1.6), or of none at all."""
    error = get_value(content, "error")
    if isinstance(error, str):  # OAuth's shape, as of a gateway before the service
        return redact(error, limit=100), text_of(get_value(content, "error_description"))
    record = error if isinstance(error, dict) else content
    code = text_of(get_value(record, "code"))
    return code and redact(code, limit=100), text_of(get_value(record, "message"))


def text_of(value: object) -> str | None:
    """Return a value as redacted text; None for an absent, empty or structured one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    return redact(str(value)) or None
