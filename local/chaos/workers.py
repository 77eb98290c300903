"""The worker processes of a chaos run, as the harness sees them: it tells, they answer, and some of them die."""

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
START = timedelta(seconds=60)
"""The longest wait for a worker to be ready, or for a sign of life while it works."""
SKEW = 5.0
"""Clocks of two processes differ by at most twice this, in seconds."""


class WorkerStuck(Exception):
    """A worker did not start, or did not answer; the message shows the end of its log."""


@dataclass(slots=True, kw_only=True)
class Worker:
    """A worker process.

    Attributes:
        slot: Its place in the crew; whoever replaces it gets the same.
        process: The process.
        log: Where its standard error goes.
        reader: The thread that hears it.
        open: The commands that it has not answered, by number.
    """

    slot: int
    process: subprocess.Popen[str]
    log: Path
    reader: threading.Thread
    open: dict[int, dict[str, Any]] = field(default_factory=dict)

    def end(self) -> int:
        """Wait for its end; return its exit code."""
        code = self.process.wait()
        self.reader.join()
        if self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):  # something was still to be written
                self.process.stdin.close()
        return code


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of a command.

    Attributes:
        command: The command.
        failure: What went wrong; None when it was carried out.
        unexpected: Whether that was no error of ours.
        died: Whether the worker died instead of answering.
    """

    command: Mapping[str, Any]
    failure: str | None = None
    unexpected: bool = False
    died: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A worker says that it injected something.

    Attributes:
        fault: What.
        event: Into which event's calls, where that is known.
    """

    fault: str
    event: str | None


class WorkerPool(Closeable):
    """Workers that share a ledger; one that dies is replaced.

    Args:
        size: How many.
        orders: What each of them is told first.
        environment: Of the processes.
        folder: For their logs.
        offset: Seconds that their clocks are ahead of real time.
        seed: What their clocks' errors and their storage faults come from.
    """

    def __init__(
        self,
        size: int,
        *,
        orders: Mapping[str, Any],
        environment: Mapping[str, str],
        folder: Path,
        offset: float,
        seed: int,
    ) -> None:
        self._orders = dict(orders)
        self._environment = dict(environment)
        self._folder = folder
        self._seed = seed
        self._dice = random.Random(f"crew:{seed}")  # noqa: S311 — it must be repeatable
        self._inbox: queue.SimpleQueue[tuple[Worker | None, dict[str, Any] | None]] = (
            queue.SimpleQueue()
        )
        self._numbers = 0
        self._closing = False
        self.offset = offset
        self.calm = False
        self.deaths = 0
        self.members = [self._start(slot) for slot in range(size)]

    @property
    def busy(self) -> int:
        """How many commands are under way."""
        return sum(len(member.open) for member in self.members)

    def load(self, slot: int) -> int:
        """Return how many commands a worker has not answered."""
        return len(self.members[slot].open)

    def tell(self, slot: int, command: dict[str, Any]) -> None:
        """Give a worker something to do; the answer comes through `listen`."""
        self._numbers += 1
        member = self.members[slot]
        member.open[self._numbers] = command
        self._write(member, {**command, "n": self._numbers})

    def move(self, offset: float) -> None:
        """Set all clocks to that many seconds ahead of real time."""
        self.offset = offset
        for member in list(self.members):
            self._write(member, {"do": "clock", "offset": offset})

    def quiet(self) -> None:
        """Let storage work from now on."""
        self.calm = True
        for member in self.members:
            self._write(member, {"do": "calm"})

    def listen(self) -> list[Answer | Note]:
        """Wait for the next sign of a worker. A death answers everything that was under way there.

        Raises:
            WorkerStuck: No worker gave one within a minute.
        """
        try:
            member, record = self._inbox.get(timeout=START.total_seconds())
        except queue.Empty as error:
            waiting = [command for one in self.members for command in one.open.values()]
            raise WorkerStuck(f"no worker answered within a minute; open: {waiting[:5]}") from error
        if member is None:
            return []
        if record is None:
            return self._bury(member)
        if "fault" in record:
            return [Note(fault=record["fault"], event=record["event"])]
        if "n" not in record:
            return []
        command = member.open.pop(record["n"])
        return [
            Answer(
                command=command,
                failure=record.get("failed"),
                unexpected=record.get("unexpected", False),
            )
        ]

    def nudge(self) -> None:
        """Let `listen` return, from any thread."""
        self._inbox.put((None, None))

    def close(self) -> None:
        """End all workers and wait for them. Idempotent."""
        self._closing = True
        for member in self.members:
            member.process.kill()
            member.end()

    def _bury(self, member: Worker) -> list[Answer | Note]:
        code = member.end()
        if code != -9:
            raise WorkerStuck(f"a worker ended with code {code}: {_tail(member.log)}")
        self.deaths += 1
        self.members[member.slot] = self._start(member.slot)
        return [
            Answer(command=command, failure="the worker died", died=True)
            for command in member.open.values()
        ]

    def _start(self, slot: int) -> Worker:
        number = self.deaths
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
        member = Worker(slot=slot, process=process, log=log, reader=threading.Thread())
        member.reader = threading.Thread(target=self._read, args=(member,), daemon=True)
        orders = {
            **self._orders,
            "offset": self.offset,
            "skew": self._dice.uniform(-SKEW, SKEW),
            "seed": f"{self._seed}-{slot}-{number}",
        }
        if self.calm:
            orders["storage_faults"] = 0.0
        self._write(member, orders)
        member.reader.start()
        return member

    def _read(self, member: Worker) -> None:
        assert member.process.stdout is not None  # noqa: S101 — it was asked for
        with member.process.stdout as lines:
            for line in lines:
                self._inbox.put((member, json.loads(line)))
        if not self._closing:
            self._inbox.put((member, None))

    @staticmethod
    def _write(member: Worker, record: Mapping[str, Any]) -> None:
        stream: IO[str] | None = member.process.stdin
        assert stream is not None  # noqa: S101 — it was asked for
        try:
            stream.write(json.dumps(record) + "\n")
            stream.flush()
        except BrokenPipeError:
            return  # it has just died: `listen` will tell


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])
