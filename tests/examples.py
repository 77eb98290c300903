"""Values that tests of several packages begin with: a claimed submission, a registration, what a table holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from local.testing.app import NOON
from shared.core.events import BlobEvent, deduplication_key
from shared.core.leases import LEASE
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import State, Submission
from shared.core.transitions import settle
from shared.core.trigger_state import Registration
from shared.ledger.table.protocol import Table

STARTED = Outcome(kind=OutcomeKind.STARTED, run_id="run-1", status=200, request_id="r1")


def submission(number: int = 1, **changes: object) -> Submission:
    """Return a submission as its claim records it. Each number is another event."""
    event = BlobEvent(
        trigger="new-data",
        account="lake",
        container="data",
        path=f"incoming/añb {number}.csv",
        url="https://lake.blob.core.windows.net/data/x",
        etag="0x8DC",
        size=3,
        last_modified=NOON,
        metadata={"team": "blue"},
    )
    made = Submission(
        id=deduplication_key(event),
        trigger="new-data",
        pipeline="scoring",
        kind="published_pipeline",
        endpoint_digest="0123456789abcdef",
        event=event,
        body=b'{"ExperimentName":"E"}',
        experiment="E",
        created=NOON,
        updated=NOON,
        due=NOON + LEASE,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # tests name real fields


def skipped(number: int) -> Submission:
    """Return a submission as a skipped occurrence is recorded."""
    return submission(number, state=State.SKIPPED, due=None, body=None, reason="missed")


def started(row: Submission) -> Submission:
    """Return the submission after a POST that started `run-1`."""
    return settle(row, STARTED, generation=1, lease_id="", now=NOON + timedelta(seconds=2))


def registration(
    name: str = "nightly", source_key: str = "schedule x", hour: int = 0
) -> Registration:
    """Return a registration so many hours after noon, with a cutoff 15 minutes before."""
    time = NOON + timedelta(hours=hour)
    return Registration(
        name=name, source_key=source_key, cutoff=time - timedelta(minutes=15), time=time
    )


def keys(table: Table) -> list[str]:
    """Return the kinds of all rows, in the order of their keys."""
    return [row.key.partition(":")[0] for row in table.page(" ", "~").rows]
