"""The worker processes of a chaos run, as the harness sees them: it sends commands, and replaces workers that crash."""

from __future__ import annotations

import contextlib
import json
import queue
import random
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from local.closeable import Closeable

ROOT = Path(__file__).resolve().parents[2]

TIMEOUT = timedelta(seconds=60)
"""The longest wait for the next line of any worker."""

SKEW = 5.0
"""The largest error of a worker's clock, in seconds. Two clocks differ by at most twice this."""


class WorkerStuck(Exception):
    """A worker did not start, did not answer or ended unexpectedly. The message shows the end of its log."""


@dataclass(slots=True, kw_only=True)
class Worker:
    """A worker process."""

    slot: int
    """Its index in the pool. A replacement gets the same slot."""
    process: subprocess.Popen[str]
    """The process."""
    log: Path
    """The file with its standard error."""
    reader: threading.Thread
    """The thread that reads its standard output."""
    open: dict[int, dict[str, Any]] = field(default_factory=dict)
    """The commands without a result, by number."""

    def join(self) -> int:
        """Wait until the process ends, and return its exit code."""
        code = self.process.wait()
        self.reader.join()
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # a command was still in the buffer
                self.process.stdin.close()
        return code


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """The result of a command."""

    command: Mapping[str, Any]
    """The command."""
    failure: str | None = None
    """The error, or None if the worker carried the command out."""
    unexpected: bool = False
    """Whether the error is not one of the app's own error classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InjectedFault:
    """A worker's message that it injected a fault."""

    fault: str
    """The fault's name."""
    event: str | None
    """The event whose call got the fault, or None if it is not known."""


class WorkerPool(Closeable):
    """Worker processes that share a ledger. The pool replaces a worker that crashes.

    Args:
        size: The number of workers.
        setup: The first line that each worker gets. The pool adds `offset`, `skew` and `seed`.
        environment: The environment of the processes.
        folder: The folder for their logs.
        offset: How many seconds their clocks are ahead of real time.
        seed: The seed of their clocks' errors and of their storage faults.
    """

    def __init__(
        self,
        size: int,
        *,
        setup: Mapping[str, Any],
        environment: Mapping[str, str],
        folder: Path,
        offset: float,
        seed: int,
    ) -> None:
        self._setup = dict(setup)
        self._environment = dict(environment)
        self._folder = folder
        self._seed = seed
        self._random = random.Random(f"skew:{seed}")  # noqa: S311 — it must be repeatable
        self._inbox: queue.SimpleQueue[tuple[Worker | None, dict[str, Any] | None]] = (
            queue.SimpleQueue()
        )
        self._commands = 0
        self._closing = False
        self._offset = offset
        self._faults_stopped = False
        self.crashes = 0
        """How many workers have crashed."""
        self._workers = [self._start(slot) for slot in range(size)]

    @property
    def busy(self) -> int:
        """How many commands have no result yet."""
        return sum(len(worker.open) for worker in self._workers)

    def load(self, slot: int) -> int:
        """Return how many commands of one worker have no result yet."""
        return len(self._workers[slot].open)

    def send(self, slot: int, command: dict[str, Any]) -> None:
        """Send a command to a worker. `receive` returns its result."""
        self._commands += 1
        worker = self._workers[slot]
        worker.open[self._commands] = command
        self._write(worker, {**command, "number": self._commands})

    def set_clock(self, offset: float) -> None:
        """Set the clocks of all workers to `offset` seconds ahead of real time."""
        self._offset = offset
        for worker in list(self._workers):
            self._write(worker, {"command": "set_clock", "offset": offset})

    def stop_storage_faults(self) -> None:
        """Make all workers stop injecting faults of storage."""
        self._faults_stopped = True
        for worker in self._workers:
            self._write(worker, {"command": "stop_faults"})

    def receive(self) -> list[CommandResult | InjectedFault]:
        """Wait for the next message of a worker. If a worker crashes, each of its open commands gets a result.

        Raises:
            WorkerStuck: No message came within `TIMEOUT`, or a worker ended without a planned crash.
        """
        try:
            worker, record = self._inbox.get(timeout=TIMEOUT.total_seconds())
        except queue.Empty as error:
            waiting = [command for one in self._workers for command in one.open.values()]
            raise WorkerStuck(
                f"no worker answered within a minute; open commands: {waiting[:5]}"
            ) from error
        if worker is None:
            return []
        if record is None:
            return self._replace(worker)
        if "fault" in record:
            return [InjectedFault(fault=record["fault"], event=record["event"])]
        if "number" not in record:
            return []
        command = worker.open.pop(record["number"])
        return [
            CommandResult(
                command=command,
                failure=record.get("failure"),
                unexpected=record.get("unexpected", False),
            )
        ]

    def wake(self) -> None:
        """Make `receive` return, from any thread."""
        self._inbox.put((None, None))

    def close(self) -> None:
        """Kill all workers and wait until they have ended. Idempotent."""
        self._closing = True
        for worker in self._workers:
            worker.process.kill()
            worker.join()

    def _replace(self, worker: Worker) -> list[CommandResult | InjectedFault]:
        code = worker.join()
        if code != -9:
            raise WorkerStuck(
                f"a worker ended with code {code}, not by a crash of the plan. Its log ends:\n"
                f"{_tail(worker.log)}"
            )
        self.crashes += 1
        self._workers[worker.slot] = self._start(worker.slot)
        return [
            CommandResult(command=command, failure="the worker crashed")
            for command in worker.open.values()
        ]

    def _start(self, slot: int) -> Worker:
        log = self._folder / f"worker-{slot}.log"
        with log.open("ab") as file:
            process = subprocess.Popen(
                [sys.executable, "-m", "local.chaos.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
                cwd=ROOT,
                env=self._environment,
            )
        worker = Worker(slot=slot, process=process, log=log, reader=threading.Thread())
        worker.reader = threading.Thread(target=self._read, args=(worker,), daemon=True)
        setup = {
            **self._setup,
            "offset": self._offset,
            "skew": self._random.uniform(-SKEW, SKEW),
            "seed": f"{self._seed}-{slot}-{self.crashes}",
        }
        if self._faults_stopped:
            setup["storage_faults"] = 0.0
        self._write(worker, setup)
        worker.reader.start()
        return worker

    def _read(self, worker: Worker) -> None:
        assert worker.process.stdout is not None  # noqa: S101 — the process has a pipe
        with worker.process.stdout as lines:
            for line in lines:
                self._inbox.put((worker, json.loads(line)))
        if not self._closing:
            self._inbox.put((worker, None))

    @staticmethod
    def _write(worker: Worker, record: Mapping[str, Any]) -> None:
        stream: IO[str] | None = worker.process.stdin
        assert stream is not None  # noqa: S101 — the process has a pipe
        try:
            stream.write(json.dumps(record) + "\n")
            stream.flush()
        except BrokenPipeError:
            return  # the worker has just crashed, and `receive` reports that


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
