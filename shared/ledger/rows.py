"""The format of the ledger's rows: their keys, their properties, and how submissions are encoded.

| row key | content |
| --- | --- |
| `sub:<id>` | the submission |
| `due:<utc time>:<id>` | an open submission, sorted by when the tick works on it |
| `log:<inverted time>:<id>` | every submission, newest first |
| `attention:<state>:<id>` | a `dead` or `held` submission |
| `reference:<endpoint digest>:<experiment>` | the reference run: the newest known run of an experiment |
| `reference:workspace:<workspace digest>` | the newest known run of a workspace |
| `trigger:<name>` | what a person decided about a trigger |
| `trigger:<name>:<source key digest>` | a trigger's registration with a source key: its cutoff and its own watermark |
| `tick` | what all ticks share: the last one, the counts, and where the repair walk goes on |
| `tick:<version>` | the common watermark of one version of the file's schedules |

Text that is None is stored as empty text, since a merge cannot remove a property. Each row has a `schema`. Properties
that this version does not know stay in the row.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.core.errors import LedgerError, NewerRow
from shared.core.events import dump_event, load_event
from shared.core.leases import LEASE
from shared.core.outcomes import OutcomeKind
from shared.core.runs import ReferenceRun
from shared.core.submissions import ATTENTION, Attempt, Decision, State, Submission
from shared.core.times import print_instant, read_instant
from shared.ledger.table.protocol import Row, Value

SCHEMA = 1
"""The version of this format. A row with a higher one was written by a newer version of the app."""

TICK_KEY = "tick"
"""The key of the row that all ticks share."""

TICKS = ("tick", "tick;")
"""The range of the ticks' rows. In ASCII, `;` comes after `:`."""

TRIGGERS = ("trigger:", "trigger;")
"""The range of all triggers' rows."""

UNREADABLE = (KeyError, TypeError, ValueError, OverflowError, RecursionError)
"""The errors that reading a row may raise if it was edited."""

MAX_MESSAGE = 1000
"""The most characters of a message that the ledger keeps."""

MAX_ATTEMPTS_BYTES = 60 * 1024
"""The largest encoding of a submission's attempts. A property may have 64 KiB. The oldest attempts go first."""

_LAST_MICROSECOND = 10**17
"""More than every instant in microseconds. Keys count down from it, so that newer rows come first."""


def submission_key(submission_id: str) -> str:
    """Return the key of a submission's own row."""
    return f"sub:{submission_id}"


def due_key(due: datetime, submission_id: str) -> str:
    """Return the key of a submission's `due:` row. The time has a fixed width, so that keys sort by it."""
    return f"due:{due.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}:{submission_id}"


def due_range(now: datetime) -> tuple[str, str]:
    """Return the range of the `due:` rows up to an instant."""
    return "due:", f"due:{now.astimezone(UTC):%Y%m%dT%H%M%S.%fZ};"


def is_overdue(submission: Submission, now: datetime) -> bool:
    """Return whether a tick should have worked on an open submission at least one lease ago."""
    return submission.due is None or submission.due < now - LEASE


def reference_key(endpoint_digest: str, experiment: str) -> str:
    """Return the key of the row of an experiment's reference run."""
    return f"reference:{endpoint_digest}:{hashlib.sha256(experiment.encode()).hexdigest()[:16]}"


def workspace_reference_key(workspace_digest: str) -> str:
    """Return the key of the row that names the newest known run of a workspace."""
    return f"reference:workspace:{workspace_digest}"


def reference_keys(submission: Submission) -> list[str]:
    """Return the keys of the rows that may name a submission's run."""
    keys = [reference_key(submission.endpoint_digest, submission.experiment)]
    if submission.workspace_digest:
        keys.append(workspace_reference_key(submission.workspace_digest))
    return keys


def read_optional(value: object) -> datetime | None:
    """Read an instant. Empty text is None.

    Raises:
        ValueError: The text is not an instant.
    """
    return read_instant(value) if isinstance(value, str) and value else None


def read_instant_or_none(value: object) -> datetime | None:
    """Read an instant. If it is empty, or cannot be read because the row was edited, it is None."""
    try:
        return read_optional(value)
    except (ValueError, OverflowError):
        # Without its watermark, a tick goes back to each trigger's registration. That starts nothing twice.
        return None


def print_optional(instant: datetime | None) -> str:
    """Return an instant as text. None is empty text."""
    return print_instant(instant) if instant else ""


def log_key(submission: Submission) -> str:
    """Return the key of a submission's `log:` row. The newest row has the smallest key."""
    microseconds = int(submission.created.timestamp() * 1_000_000)
    return f"log:{_LAST_MICROSECOND - microseconds:017d}:{submission.id}"


def encode_reference(submission: Submission) -> dict[str, Value]:
    """Return the properties of a row that names a submission's run as the newest known one."""
    return {
        "correlation_id": submission.correlation_id,
        "experiment": submission.experiment,
        "run_id": _text(submission.run_id),
        "started": print_optional(submission.run_created),
    }


def decode_reference(row: Row) -> ReferenceRun | None:
    """Read the row of a reference run. Without its time it is None."""
    started = read_instant_or_none(row.values.get("started"))
    correlation_id = row.values.get("correlation_id")
    if started is None or not isinstance(correlation_id, str):
        return None
    experiment = str(row.values.get("experiment") or "")
    return ReferenceRun(correlation_id=correlation_id, experiment=experiment, started=started)


def encode_index(submission: Submission) -> dict[str, Value]:
    """Return the properties of a submission's `due:` and `attention:` rows."""
    return {"trigger": submission.trigger, "state": submission.state.value}


def attention_key(submission: Submission) -> str | None:
    """Return the key of a submission's `attention:` row, or None if it needs no attention."""
    if submission.state not in ATTENTION:
        return None
    return f"attention:{submission.state}:{submission.id}"


def trigger_key(name: str) -> str:
    """Return the key of the row that holds what a person decided about a trigger."""
    return f"trigger:{name}"


def registration_key(name: str, source_key: str) -> str:
    """Return the key of the row of a trigger's registration with a source key."""
    return f"trigger:{name}:{hashlib.sha256(source_key.encode()).hexdigest()[:16]}"


def version_key(version: str) -> str:
    """Return the key of the row of a version of the file's schedules."""
    return f"tick:{version}"


def encode_submission(submission: Submission, *, token: str) -> dict[str, Value]:
    """Return the properties of a submission's row.

    Args:
        submission: The submission.
        token: A new random token. A caller that reads it back knows that its own write succeeded.
    """
    return {
        "schema": SCHEMA,
        "token": token,
        "state": submission.state.value,
        "reason": _text(submission.reason)[:MAX_MESSAGE],
        "generation": submission.generation,
        "trigger": submission.trigger,
        "pipeline": submission.pipeline,
        "kind": submission.kind,
        "endpoint_digest": submission.endpoint_digest,
        "workspace_digest": submission.workspace_digest,
        "event": dump_event(submission.event),
        "body": submission.body or b"",
        "experiment": submission.experiment,
        "created": print_instant(submission.created),
        "updated": print_instant(submission.updated),
        "since": print_optional(submission.since),
        "lease_id": submission.lease_id,
        "unknown_since": print_optional(submission.unknown_since),
        "unknown_cause": _text(submission.unknown_cause)[:MAX_MESSAGE],
        "post_deadline": print_optional(submission.post_deadline),
        "conclusive_searches": submission.conclusive_searches,
        "lag": "" if submission.lag is None else str(submission.lag.total_seconds()),
        "due": print_optional(submission.due),
        "due_key": due_key(submission.due, submission.id) if submission.due else "",
        "attempts": _encode_attempts(submission.attempts),
        "run_id": _text(submission.run_id),
        "run_status": _text(submission.run_status),
        "run_created": print_optional(submission.run_created),
        "poll_since": print_optional(submission.poll_since),
        "gone_since": print_optional(submission.gone_since),
        "duplicates": json.dumps(submission.duplicates),
        "decisions": json.dumps([_encode_decision(one) for one in submission.decisions]),
        "status_token": _text(submission.status_token),
    }


def encode_log(submission: Submission) -> dict[str, Value]:
    """Return the properties of a submission's `log:` row: enough for one line of a list."""
    return {
        "trigger": submission.trigger,
        "state": submission.state.value,
        "source": submission.event.source.value,
        "created": print_instant(submission.created),
        "run_id": _text(submission.run_id),
    }


def decode_submission(row: Row) -> Submission:
    """Read a submission's row.

    Raises:
        NewerRow: A newer version of the app wrote the row.
        LedgerError: The row was edited and cannot be read.
    """
    values = row.values
    submission_id = row.key.removeprefix("sub:")
    try:
        if int(values["schema"]) > SCHEMA:
            raise NewerRow(f"submission {submission_id} was written by a newer version of this app")
        return Submission(
            id=submission_id,
            trigger=str(values["trigger"]),
            pipeline=str(values["pipeline"]),
            kind=str(values["kind"]),
            endpoint_digest=str(values["endpoint_digest"]),
            workspace_digest=str(values.get("workspace_digest") or ""),
            event=load_event(_bytes(values["event"])),
            body=_bytes(values["body"]) or None,
            experiment=str(values.get("experiment") or ""),
            created=read_instant(str(values["created"])),
            updated=read_instant(str(values["updated"])),
            state=State(str(values["state"])),
            reason=str(values["reason"]) or None,
            generation=int(values["generation"]),
            since=read_optional(values.get("since")),
            lease_id=str(values.get("lease_id") or ""),
            unknown_since=read_optional(values.get("unknown_since")),
            unknown_cause=str(values.get("unknown_cause") or "") or None,
            post_deadline=read_optional(values.get("post_deadline")),
            conclusive_searches=int(values.get("conclusive_searches", 0)),
            lag=timedelta(seconds=float(str(values["lag"]))) if values.get("lag") else None,
            due=read_optional(values["due"]),
            attempts=tuple(
                _decode_attempt(item) for item in json.loads(_bytes(values["attempts"]))
            ),
            run_id=str(values["run_id"]) or None,
            run_status=str(values["run_status"]) or None,
            run_created=read_optional(values.get("run_created")),
            poll_since=read_optional(values.get("poll_since")),
            gone_since=read_optional(values.get("gone_since")),
            duplicates=tuple(json.loads(str(values["duplicates"]))),
            decisions=tuple(
                _decode_decision(item) for item in json.loads(str(values.get("decisions", "[]")))
            ),
            status_token=str(values.get("status_token", "")) or None,
            etag=row.etag,
            due_key=str(values["due_key"]) or None,
        )
    except UNREADABLE as error:
        raise LedgerError(
            f"the row of submission {submission_id} cannot be read: {error}"
        ) from error


def _encode_attempts(attempts: Sequence[Attempt]) -> bytes:
    records = [_encode_attempt(attempt) for attempt in attempts]
    while True:
        data = json.dumps(records, ensure_ascii=False, separators=(",", ":")).encode()
        if len(data) <= MAX_ATTEMPTS_BYTES:
            return data
        del records[0]


def _encode_attempt(attempt: Attempt) -> dict[str, Any]:
    record = {name: value for name, value in asdict(attempt).items() if value is not None}
    record["time"] = print_instant(attempt.time)
    if attempt.message is not None:
        record["message"] = attempt.message[:MAX_MESSAGE]
    return record


def _decode_attempt(record: Mapping[str, Any]) -> Attempt:
    known = dict(record)
    known["time"] = read_instant(known["time"])
    known["outcome"] = OutcomeKind(known["outcome"])
    return Attempt(**known)


def _encode_decision(decision: Decision) -> dict[str, Any]:
    return {"time": print_instant(decision.time), "action": decision.action, "by": decision.by}


def _decode_decision(record: Mapping[str, Any]) -> Decision:
    return Decision(**{**record, "time": read_instant(record["time"])})


def _text(value: str | None) -> str:
    return value or ""


def _bytes(value: Value) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError(f"expected bytes, found {type(value).__name__}")
    return value
