"""A whole app between doubles: a clock, blobs and a workspace. Everything else is the real code.

A test writes triggers, makes a `Bench` of them, and uses its app as the entry points do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from local.testing.memory_table import Fault, MemoryTable
from shared.app import App, compose
from shared.config.load import load_config
from shared.config.model import Config, Pipeline
from shared.core.events import BlobFacts
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import ReferenceRun, RunFacts, RunGone, SearchResult
from shared.core.submissions import Submission
from shared.ledger.ledger import Ledger

ENDPOINT = (
    "https://westeurope.api.azureml.ms/pipelines/v1.0/subscriptions/s/resourceGroups/g/providers/"
    "Microsoft.MachineLearningServices/workspaces/w/PipelineRuns/PipelineSubmit/"
    "11111111-1111-1111-1111-111111111111"
)
NOON = datetime(2027, 3, 27, 12, 0, tzinfo=UTC)

HEAD = f"""\
datastores:
  lake: {{connection: DataStorage, container: data}}
  reference: {{connection: DataStorage, container: reference}}
pipelines:
  scoring:
    kind: published_pipeline
    endpoint: {ENDPOINT}
    experiment: MyRestPipeline
triggers:
"""
"""The start of a triggers file: two datastores and a pipeline. Indented triggers follow."""


@dataclass
class Clock:
    """A clock that stands still until a test moves it."""

    time: datetime = NOON
    """The current time."""

    def now(self) -> datetime:
        """Return the current time (timezone-aware)."""
        return self.time

    def seconds(self) -> float:
        """Return the current time in seconds, as a monotonic clock does."""
        return self.time.timestamp()

    def advance(self, **span: float) -> None:
        """Move the clock: `advance(minutes=1)`. The arguments are those of `timedelta`."""
        self.time += timedelta(**span)


@dataclass
class FakeBlobs:
    """Storage accounts in memory."""

    facts: dict[tuple[str, str, str], BlobFacts] = field(default_factory=dict)
    """The blobs' properties by connection, container and path."""
    heads: int = 0
    """How many HEAD requests the app made."""
    failure: Exception | None = None
    """The error of every HEAD request. None: all succeed."""

    def put(self, path: str, clock: Clock, *, metadata: Mapping[str, str] | None = None) -> None:
        """Write a blob, or a new version of it, into container `data` of `DataStorage`."""
        metadata = metadata or {}
        self.facts["DataStorage", "data", path] = BlobFacts(
            account="lake",
            container="data",
            path=path,
            url="https://lake.blob.core.windows.net/data/x",
            etag=f"0x{len(self.facts):04}{clock.seconds():.0f}",
            size=3,
            last_modified=clock.now(),
            metadata=metadata,
        )

    def head(self, connection: str, container: str, path: str) -> BlobFacts | None:
        """Return a blob's properties, or None if there is no such blob."""
        self.heads += 1
        if self.failure is not None:
            raise self.failure
        return self.facts.get((connection, container, path))


@dataclass
class FakeWorkspace:
    """Azure ML in memory. Each POST starts a run, unless a test has set another outcome."""

    outcomes: list[Outcome] = field(default_factory=list)
    """The outcomes of the next POSTs. Empty: each starts a run."""
    bodies: list[bytes] = field(default_factory=list)
    """The bodies of all POSTs, in order."""
    runs: dict[str, RunFacts] = field(default_factory=dict)
    """Runs by id: those that POSTs have started, and those that a test adds."""
    search_results: list[SearchResult] = field(default_factory=list)
    """The results of the next searches. Empty: a search shows all runs, with the reference run."""
    asked: list[tuple[str, str]] = field(default_factory=list)
    """All other calls, as (verb, id): `status` and `cancel` with the run's, `search` with the correlation id."""
    failure: Exception | None = None
    """The error of every status and cancel request. None: all succeed."""
    slowness: tuple[Clock, float] | None = None
    """A clock, and the seconds by which each POST moves it. None: a POST takes no time."""

    def submit(self, pipeline: Pipeline, body: bytes) -> Outcome:  # noqa: ARG002 — as in `clients.workspace.Workspace`
        """Record a POST, and return its outcome."""
        self.bodies.append(body)
        if self.slowness is not None:
            clock, seconds = self.slowness
            clock.advance(seconds=seconds)
        number = len(self.bodies)
        if self.outcomes:
            # A test may give one outcome several times. Each POST has an outcome of its own.
            return replace(self.outcomes.pop(0), id=f"outcome-{number}")
        correlation_id = json.loads(body)["tags"]["submission"]
        self.runs[f"run-{number}"] = RunFacts(id=f"run-{number}", correlation_id=correlation_id)
        return Outcome(
            kind=OutcomeKind.STARTED,
            run_id=f"run-{number}",
            status=200,
            request_id=f"request-{number}",
        )

    def status(self, pipeline: Pipeline, run_id: str) -> RunFacts:  # noqa: ARG002 — the same
        """Return a run as it stands."""
        self.asked.append(("status", run_id))
        if self.failure is not None:
            raise self.failure
        if run_id not in self.runs:
            raise RunGone(f"Azure ML does not know run {run_id}")
        return self.runs[run_id]

    def search(
        self,
        pipeline: Pipeline,  # noqa: ARG002 — the same
        *,
        experiment: str,  # noqa: ARG002 — the same
        correlation_id: str,
        reference: str | None,
        newer: ReferenceRun | None = None,
    ) -> SearchResult:
        """Return the runs with a correlation id."""
        self.asked.append(("search", correlation_id))
        if self.search_results:
            return self.search_results.pop(0)
        found = tuple(run for run in self.runs.values() if run.correlation_id == correlation_id)
        if found:
            return SearchResult(runs=found)
        return SearchResult(saw_reference=reference is not None, saw_newer=newer is not None)

    def cancel(self, pipeline: Pipeline, run_id: str) -> None:  # noqa: ARG002 — the same
        """Set a run's status to `Canceled`."""
        self.asked.append(("cancel", run_id))
        if self.failure is not None:
            raise self.failure
        self.runs[run_id] = replace(self.runs[run_id], status="Canceled")


@dataclass
class Bench:
    """An app between doubles."""

    app: App
    """The real app."""
    clock: Clock
    """The app's clock."""
    blobs: FakeBlobs
    """The storage accounts that it reads."""
    workspace: FakeWorkspace
    """The workspace that it starts runs in."""
    table: MemoryTable
    """The ledger's table. It counts the app's calls. `table.view()` reads it without counting."""

    @property
    def config(self) -> Config:
        """The triggers file."""
        return self.app.config

    def submissions(self) -> list[Submission]:
        """Return all submissions, newest first."""
        ledger = Ledger(self.table.view())
        ids = [row.key.rpartition(":")[2] for row in self.table.rows("log:")]
        return [found for found in map(ledger.submissions.get, ids) if found is not None]

    def restarted(self, *, file: Path | None = None, skew: timedelta = timedelta()) -> Bench:
        """Return the app of another process, on the same ledger, blobs and workspace.

        Args:
            file: A new triggers file. None: the same file.
            skew: How far its clock is ahead.
        """
        config = load_config(file, settings={}) if file else self.config
        return _bench(config, self.table, self.clock, self.blobs, self.workspace, skew=skew)


def bench(
    file: Path,
    *,
    settings: Mapping[str, str] | None = None,
    fault: Callable[[str], Fault | None] | None = None,
    roles: bool = False,
) -> Bench:
    """Return an app between doubles.

    Args:
        file: The triggers file.
        settings: The app settings that the file names.
        fault: Returns the fault of a call to the ledger's table by the call's name. None: no call fails.
        roles: Whether callers of the HTTP API need a role.
    """
    config = load_config(file, settings=settings or {})
    return _bench(
        config, MemoryTable(fault=fault), Clock(), FakeBlobs(), FakeWorkspace(), roles=roles
    )


def _bench(
    config: Config,
    table: MemoryTable,
    clock: Clock,
    blobs: FakeBlobs,
    workspace: FakeWorkspace,
    *,
    roles: bool = False,
    skew: timedelta = timedelta(),
) -> Bench:
    app = compose(
        config,
        table=table,
        read_blob=blobs.head,
        workspace=workspace,
        clock=lambda: clock.now() + skew,
        monotonic=clock.seconds,
        roles=roles,
    )
    return Bench(app=app, clock=clock, blobs=blobs, workspace=workspace, table=table)
