"""Works on many submissions at a time, for as long as a tick has, and never waits for a call that hangs.

The endpoints take turns: a thread takes the next task of the endpoint that has waited longest, if its circuit lets one
more call through. When the time is over, no task begins any more. Those that have begun go on in their threads.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import timedelta
from itertools import chain

from shared.clients.circuit import CALLS, CALLS_PER_ENDPOINT
from shared.core.errors import Unavailable
from shared.core.telemetry import Action, log_decision
from shared.engine.services import Services

logger = logging.getLogger(__name__)

LOOK_EVERY = 0.1
"""Seconds after which a waiting tick looks at its clock again."""

LEAST = timedelta(seconds=5)
"""The time that work gets in any case, also in a tick that is late: each part of a tick makes progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What one submission needs."""

    submission: str
    """The submission's id."""
    endpoint: str | None
    """The endpoint that its call goes to. None: it makes no call."""
    post: bool = False
    """Whether the call is a POST."""
    do: Callable[[], object]
    """Does it."""


class Work:
    """Tasks that threads work on, and what became of them.

    Args:
        services: The app's parts.
        tasks: The tasks. Those of one endpoint begin in this order.
    """

    def __init__(self, services: Services, tasks: Iterable[Task]) -> None:
        self._services = services
        self._changed = threading.Condition()
        self._waiting: dict[tuple[str | None, bool], deque[Task]] = {}
        for task in tasks:
            self._waiting.setdefault((task.endpoint, task.post), deque()).append(task)
        self._aside: list[Task] = []
        self._threads = 0
        self._running = 0
        self._until = float("-inf")
        self._stopped = False
        self._over = False
        self.done = 0
        """Tasks that have ended without an error."""
        self.failures: list[Exception] = []
        """What the others raised."""

    @property
    def left(self) -> list[Task]:
        """The tasks that have not begun."""
        with self._changed:
            return [*self._aside, *chain.from_iterable(self._waiting.values())]

    def work_off(self, *, until: float, name: str) -> None:
        """Work on the tasks until all have ended, none may begin, the ledger does not answer, or the time is over.

        Args:
            until: When to begin no more and to stop waiting, in seconds of the monotonic clock.
            name: Of the threads.
        """
        until = max(until, self._services.monotonic() + LEAST.total_seconds())
        self._until = until
        for _ in range(self._useful_threads()):
            with self._changed:
                started = self._services.threads.start(self._run, name=name)
                self._threads += started
            if not started:
                break
        with self._changed:
            while self._threads and self._services.monotonic() < until:
                self._changed.wait(LOOK_EVERY)
            self._stopped = self._over = True
            self._changed.notify_all()

    def _useful_threads(self) -> int:
        """Return how many threads can be at work at a time."""
        tasks = Counter[str | None]()
        for (endpoint, _), waiting in self._waiting.items():
            tasks[endpoint] += len(waiting)
        useful = sum(
            count if endpoint is None else min(count, CALLS_PER_ENDPOINT)
            for endpoint, count in tasks.items()
        )
        return min(useful, CALLS)

    def _run(self) -> None:
        """Work on one task after another."""
        try:
            while (task := self._next()) is not None:
                failure: Exception | None = None
                try:
                    task.do()
                except Exception as error:  # noqa: BLE001 — kept, and raised when the others are done
                    failure = error
                self._end(task, failure)
        finally:
            with self._changed:
                self._threads -= 1
                self._changed.notify_all()

    def _next(self) -> Task | None:
        """Take the next task that may begin. None: none may, or the time is over."""
        with self._changed:
            while not self._stopped and self._services.monotonic() < self._until:
                task = self._take()
                if task is not None or not self._running:
                    return task
                self._changed.wait()  # the end of a task may let another begin
            return None

    def _take(self) -> Task | None:
        """Take the first task that may begin. Its endpoint is then the last in turn."""
        for key, waiting in list(self._waiting.items()):
            while waiting and self._services.circuits.has_turn(waiting[0].submission):
                self._aside.append(waiting.popleft())  # an earlier tick began with it, and it hangs
            if waiting and not self._may_begin(waiting[0]):
                continue
            del self._waiting[key]
            if waiting:
                task = waiting.popleft()
                if waiting:
                    self._waiting[key] = waiting
                self._running += 1
                return task
        return None

    def _may_begin(self, task: Task) -> bool:
        if task.endpoint is None:
            return True
        return self._services.circuits.take_turn(task.endpoint, task.submission, post=task.post)

    def _end(self, task: Task, failure: Exception | None) -> None:
        if task.endpoint is not None:
            self._services.circuits.end_turn(task.submission)
        with self._changed:
            self._running -= 1
            if failure is None:
                self.done += 1
            elif self._over:
                _log_late(task, failure)
            else:
                self.failures.append(failure)
                self._stopped = self._stopped or isinstance(failure, Unavailable)
            if self._running and not self._stopped:
                self._changed.notify()
            else:
                self._changed.notify_all()


def _log_late(task: Task, failure: Exception) -> None:
    """Log what no tick raises any more."""
    log_decision(
        logger,
        Action.WORK_FAILED,
        f"the work on submission {task.submission} failed after its tick had ended: "
        f"{type(failure).__name__}: {failure}",
        {"submission": task.submission},
        level=logging.ERROR,
    )
