"""Doubles of the app's edges, for tests of its core: a clock, blobs, a workspace, and an app put together from them.

They stand where storage accounts and Azure ML would; the core between them is the real one.
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
from shared.core.runs import RunFacts, RunGone, SearchResult
from shared.core.submissions import Submission
from shared.ledger.ledger import Ledger
from shared.ledger.table.guarded import GuardedTable

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
"""Two datastores and a pipeline; triggers follow."""


@dataclass
class Clock:
    """A clock that stands still until it is told to go on."""

    time: datetime = NOON

    def now(self) -> datetime:
        """Say the time."""
        return self.time

    def seconds(self) -> float:
        """Say the time in seconds, as a monotonic clock does."""
        return self.time.timestamp()

    def advance(self, **span: float) -> None:
        """Go on by a span: `advance(minutes=1)`."""
        self.time += timedelta(**span)


@dataclass
class Blobs:
    """Blobs by (connection, container, path)."""

    facts: dict[tuple[str, str, str], BlobFacts] = field(default_factory=dict)
    heads: int = 0
    failure: Exception | None = None

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
        """Answer a HEAD."""
        self.heads += 1
        if self.failure is not None:
            raise self.failure
        return self.facts.get((connection, container, path))


@dataclass
class Workspace:
    """Records bodies and answers with a script; without one, each POST starts a run.

    Attributes:
        outcomes: What the next POSTs come to.
        bodies: What was POSTed.
        runs: Runs by id: those that POSTs started, and those that a test adds.
        looks: What the next searches see; without one, all runs, and they count.
        asked: Every other call, as (verb, what).
        failure: What every other call raises.
        slowness: A clock, and the seconds by which each POST moves it on.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    runs: dict[str, RunFacts] = field(default_factory=dict)
    conclusive_searches: list[SearchResult] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    failure: Exception | None = None
    slowness: tuple[Clock, float] | None = None

    def submit(self, pipeline: Pipeline, body: bytes) -> Outcome:  # noqa: ARG002 — the seam's signature
        """Take a POST."""
        self.bodies.append(body)
        if self.slowness is not None:
            clock, seconds = self.slowness
            clock.advance(seconds=seconds)
        number = len(self.bodies)
        if self.outcomes:
            return self.outcomes.pop(0)
        correlation_id = json.loads(body)["tags"]["submission"]
        self.runs[f"run-{number}"] = RunFacts(id=f"run-{number}", correlation_id=correlation_id)
        return Outcome(
            kind=OutcomeKind.STARTED,
            run_id=f"run-{number}",
            status=200,
            request_id=f"request-{number}",
        )

    def status(self, pipeline: Pipeline, run_id: str) -> RunFacts:  # noqa: ARG002 — the seam's signature
        """Say how a run stands."""
        self.asked.append(("status", run_id))
        if self.failure is not None:
            raise self.failure
        if run_id not in self.runs:
            raise RunGone(f"Azure ML does not know run {run_id}")
        return self.runs[run_id]

    def search(
        self,
        pipeline: Pipeline,  # noqa: ARG002 — the seam's signature
        *,
        experiment: str,  # noqa: ARG002 — the same
        correlation_id: str,
        reference: str | None,
    ) -> SearchResult:
        """Search for runs."""
        self.asked.append(("search", correlation_id))
        if self.conclusive_searches:
            return self.conclusive_searches.pop(0)
        found = tuple(run for run in self.runs.values() if run.correlation_id == correlation_id)
        return SearchResult(runs=found, saw_reference=reference is not None)

    def cancel(self, pipeline: Pipeline, run_id: str) -> None:  # noqa: ARG002 — the seam's signature
        """Cancel a run."""
        self.asked.append(("cancel", run_id))
        if self.failure is not None:
            raise self.failure
        self.runs[run_id] = replace(self.runs[run_id], status="Canceled")


@dataclass
class Bench:
    """An app between doubles.

    Attributes:
        app: The real core.
        clock: Its clock.
        blobs: Its blobs.
        workspace: Its workspace.
        table: Its ledger's table.
    """

    app: App
    clock: Clock
    blobs: Blobs
    workspace: Workspace
    table: MemoryTable

    @property
    def config(self) -> Config:
        """The triggers file."""
        return self.app.config

    def submissions(self) -> list[Submission]:
        """Return all submissions, newest first."""
        ledger = Ledger(self.table.view())
        rows = GuardedTable(self.table.view()).range("log:", "log;")
        ids = [row.key.rpartition(":")[2] for row in rows]
        return [found for found in map(ledger.submissions.get, ids) if found is not None]

    def restarted(self, *, file: Path | None = None) -> Bench:
        """Return another process's app on the same ledger; `file` is a new triggers file."""
        config = load_config(file, settings={}) if file else self.config
        return _bench(config, self.table, self.clock, self.blobs, self.workspace)


def bench(
    file: Path,
    *,
    settings: Mapping[str, str] | None = None,
    fault: Callable[[str], Fault | None] | None = None,
    roles: bool = False,
) -> Bench:
    """Put an app together from a triggers file and doubles.

    Args:
        file: The triggers file.
        settings: App settings that it names.
        fault: What goes wrong in the ledger's table.
        roles: Whether callers of the HTTP API need a role.
    """
    config = load_config(file, settings=settings or {})
    return _bench(config, MemoryTable(fault=fault), Clock(), Blobs(), Workspace(), roles=roles)


def _bench(
    config: Config,
    table: MemoryTable,
    clock: Clock,
    blobs: Blobs,
    workspace: Workspace,
    *,
    roles: bool = False,
) -> Bench:
    app = compose(
        config,
        table=table,
        read_blob=blobs.head,
        workspace=workspace,
        clock=clock.now,
        monotonic=clock.seconds,
        roles=roles,
    )
    return Bench(app=app, clock=clock, blobs=blobs, workspace=workspace, table=table)
