"""An app with several endpoints, of which all but one hang, and whose ticks a test can watch while they wait."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from local.testing.app import ENDPOINT, Clock, FakeBlobs, FakeWorkspace
from local.testing.memory_table import Fault, MemoryTable
from shared.app import compose
from shared.config.load import load_config
from shared.config.model import Pipeline
from shared.core.errors import WorkspaceUnavailable
from shared.core.events import HttpEvent
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import ReferenceRun, RunFacts, SearchResult
from shared.core.submissions import State, Submission
from shared.engine.accept import accept
from shared.engine.send import withdraw
from shared.engine.tick.tick import TickReport
from shared.ledger.ledger import Ledger
from shared.operations.submissions import start

LOST = Outcome(kind=OutcomeKind.UNKNOWN, message="no whole answer within 120 s")


class Hanging(FakeWorkspace):
    """Azure ML that answers for the pipeline `healthy`. Each call of another one hangs until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()
        self.hanging = 0
        self.posts: list[tuple[str, str]] = []
        self.reads: list[tuple[str, str]] = []
        self.after = LOST
        self._lock = threading.Lock()

    def submit(self, pipeline: Pipeline, body: bytes) -> Outcome:
        with self._lock:
            self.posts.append((pipeline.name, json.loads(body)["tags"]["submission"]))
        if pipeline.name != "healthy" and not self.released.is_set():
            self._hang()
            return self.after
        with self._lock:
            return super().submit(pipeline, body)

    def status(self, pipeline: Pipeline, run_id: str) -> RunFacts:
        self._read(pipeline, run_id)
        return RunFacts(id=run_id, status="Running")

    def search(
        self,
        pipeline: Pipeline,
        *,
        experiment: str,
        correlation_id: str,
        reference: str | None,
        newer: ReferenceRun | None = None,
    ) -> SearchResult:
        self._read(pipeline, correlation_id)
        return SearchResult()

    def sent(self, pipeline: str) -> list[str]:
        """Return the correlation ids that were POSTed to a pipeline."""
        with self._lock:
            return [correlation_id for name, correlation_id in self.posts if name == pipeline]

    def _read(self, pipeline: Pipeline, key: str) -> None:
        with self._lock:
            self.reads.append((pipeline.name, key))
        if pipeline.name != "healthy" and not self.released.is_set():
            self._hang()
            raise WorkspaceUnavailable("no whole answer within 30 s")

    def _hang(self) -> None:
        with self._lock:
            self.hanging += 1
        assert self.released.wait(60)
        with self._lock:
            self.hanging -= 1


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until other threads have made a condition true."""
    for _ in range(2_000):
        if condition():
            return
        threading.Event().wait(0.005)
    raise AssertionError("it has not become true within 10 s")


def end_threads() -> None:
    """Wait for the threads that ticks have left behind."""
    for thread in threading.enumerate():
        if thread.name.startswith("tick-"):
            thread.join(10)
            assert not thread.is_alive()


class Site:
    """An app whose ticks run in a thread, so that a test can let time go on while a tick waits."""

    def __init__(self, file: Path, *, fault: Callable[[str], Fault | None] | None = None) -> None:
        self.workspace = Hanging()
        self.clock = Clock()
        self.table = MemoryTable(fault=fault)
        self.app = compose(
            load_config(file, settings={}),
            table=self.table,
            read_blob=FakeBlobs().head,
            workspace=self.workspace,
            clock=self.clock.now,
            monotonic=self.clock.seconds,
        )
        self._thread = ThreadPoolExecutor(1)

    def begin_tick(self) -> Future[TickReport]:
        """Begin a tick at the next minute."""
        self.clock.time = self.clock.time.replace(second=0) + timedelta(minutes=1)
        return self._thread.submit(self.app.tick)

    def tick(self) -> TickReport:
        """Run a tick at the next minute, while time stands still: it waits for nothing."""
        return self.begin_tick().result(10)

    def release(self, *, outcome: Outcome = LOST) -> None:
        """Let all calls that hang end, those of POSTs with an outcome. The endpoints answer from now on."""
        self.workspace.after = outcome
        self.workspace.released.set()
        end_threads()

    def call(self, trigger: str, key: str) -> Submission:
        """Start a trigger by a call that the app accepts, and sends at once."""
        result = start(self.app.services, self._event(trigger, key))
        assert isinstance(result, Submission)
        return result

    def refuse(self, trigger: str, count: int) -> None:
        """Make so many `pending` submissions of a trigger, which are due within half a minute."""
        for number in range(count):
            self.withdraw(trigger, str(number))

    def withdraw(self, trigger: str, key: str) -> None:
        """Make one."""
        result = accept(self.app.services, self._event(trigger, key))
        assert isinstance(result, Submission)
        withdraw(self.app.services, result)

    def submissions(self, trigger: str) -> list[Submission]:
        ledger = Ledger(self.table.view())
        ids = [row.key.rpartition(":")[2] for row in self.table.rows("log:")]
        found = [one for one in map(ledger.submissions.get, ids) if one is not None]
        return [one for one in found if one.trigger.startswith(trigger)]

    def states(self, trigger: str) -> Counter[State]:
        return Counter(one.state for one in self.submissions(trigger))

    def close(self) -> None:
        self.release()
        self._thread.shutdown()

    def _event(self, trigger: str, key: str) -> HttpEvent:
        return HttpEvent(trigger=trigger, time=self.clock.now(), key=("key", key))


PIPELINES = ("healthy", "dead", *(f"dead-{number}" for number in range(6)))


def write_triggers(folder: Path, *triggers: str) -> Path:
    """Write a file of some triggers. Each pipeline has an endpoint of its own."""
    lines = ["pipelines:"]
    for number, name in enumerate(PIPELINES):
        endpoint = ENDPOINT.replace("11111111", f"{number:08}", 1)
        lines.append(
            f"  {name}: {{kind: published_pipeline, endpoint: '{endpoint}', experiment: e}}"
        )
    file = folder / "triggers.yaml"
    file.write_text("\n".join([*lines, "triggers:", *(f"  {one}" for one in triggers)]))
    return file
