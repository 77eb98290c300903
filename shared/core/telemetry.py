"""Log records that reach Application Insights.

The Functions worker forwards the formatted message, the level and the logger's name only. What `extra=` holds is lost,
and so is a record of a thread that does not know its invocation (azure-functions-runtime 1.3, `utils/executor.py`). So
each decision's message ends with its fields as `key=value`, which KQL's `parse-kv` reads, and threads of a pool run in
a copy of their caller's context.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from enum import StrEnum


class Action(StrEnum):
    """What was decided. `docs/reference/log-records.md` describes each."""

    EVENT_IGNORED = "event_ignored"
    EVENT_REPEATED = "event_repeated"
    SUBMISSION_CLAIMED = "submission_claimed"
    SUBMISSION_SUBMITTED = "submission_submitted"
    SUBMISSION_PENDING = "submission_pending"
    SUBMISSION_UNKNOWN = "submission_unknown"
    OUTCOME_UNRECORDED = "outcome_unrecorded"
    SUBMISSION_DEAD = "submission_dead"
    SUBMISSION_SKIPPED = "submission_skipped"
    SUBMISSION_HELD = "submission_held"
    SUBMISSION_FINISHED = "submission_finished"
    SUBMISSION_NEWER = "submission_newer"
    SUBMISSION_REPLAYED = "submission_replayed"
    SUBMISSION_RESUMED = "submission_resumed"
    SUBMISSION_DROPPED = "submission_dropped"
    RUN_CANCELED = "run_canceled"
    RUN_DUPLICATED = "run_duplicated"
    RUN_STATUS_UNDOCUMENTED = "run_status_undocumented"
    TRIGGER_OVERRIDDEN = "trigger_overridden"
    TRIGGER_UNREADABLE = "trigger_unreadable"
    TRIGGER_FAILED = "trigger_failed"
    CLOCK_AHEAD = "clock_ahead"
    STORED_TIME_AHEAD = "stored_time_ahead"
    ROW_UNREADABLE = "row_unreadable"
    TICK_ENDED = "tick_ended"
    WORK_FAILED = "work_failed"
    WORKSPACE_CALL = "workspace_call"
    CIRCUIT_OPENED = "circuit_opened"
    CIRCUIT_CLOSED = "circuit_closed"
    BLOB_UNADDRESSABLE = "blob_unaddressable"
    ROLES_IGNORED = "roles_ignored"
    CALL_REFUSED = "call_refused"
    CALL_FAILED = "call_failed"
    HEALTH_FAILED = "health_failed"


type Field = str | int | float | bool | None


def log_decision(
    logger: logging.Logger,
    action: Action,
    message: str,
    fields: Mapping[str, Field] | None = None,
    *,
    level: int = logging.INFO,
    exc_info: bool = False,
) -> None:
    """Write the record of a decision: a sentence for a person, then `action=…` and the fields as `key=value`.

    Args:
        logger: The module's logger.
        action: What was decided.
        message: The sentence. It holds no secret: foreign texts in it are redacted.
        fields: The ids and values that lead to the submission. Those that are None are left out.
        level: The record's level.
        exc_info: Whether to add the trace of the current exception.
    """
    if not logger.isEnabledFor(level):
        return
    shown: dict[str, Field] = {"action": action.value, **(fields or {})}
    pairs = " ".join(
        f"{name}={_quoted(value)}" for name, value in shown.items() if value is not None
    )
    # `extra` is for handlers on a laptop and in tests. The worker does not forward it.
    logger.log(level, "%s | %s", message, pairs, exc_info=exc_info, extra=shown)


def _quoted(value: Field) -> str:
    """Return a value as `parse-kv` reads it: in quotes if it holds anything but letters, digits and `._:/-`."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    plain = text and all(one.isalnum() or one in "._:/-" for one in text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def submit_in_context[**P, T](
    pool: ThreadPoolExecutor, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> Future[T]:
    """Submit work to a pool so that its log records belong to the caller's invocation."""
    context = copy_context()
    return pool.submit(lambda: context.run(work, *args, **kwargs))
