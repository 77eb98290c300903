"""Chaos: events, faults and crashes against the real app in several processes, and a verdict.

Storage is Azurite, the workspace and the identity endpoint are the stand-ins over real sockets; between them and the
ledger's rows all code is the product's. Only the HEAD of a blob is a double, which tells a blob's facts by its name.
"""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from local.chaos.checks import Counts, Report, judge
from local.chaos.environment import Environment
from local.chaos.options import CRASH_POINTS, ChaosOptions
from local.chaos.plan import Delivery, make_plan
from local.chaos.workers import SKEW, Note
from local.standins.azurite import Azurite
from shared.core.submissions import LEASE
from shared.core.times import read_instant

AT_ONCE = 2
"""Commands under way in a worker, as a multiple of its threads."""

TICK_EVERY = 60
"""Deliveries between two ticks."""

MAX_TRIES = 50
"""Deliveries of one event that may fail before the run is given up."""

MAX_STEPS = 2000
"""Ticks after which it is no longer believed that nothing will be due."""


def run(
    options: ChaosOptions, *, say: Callable[[str], None], azurite: Azurite | None = None
) -> Report:
    """Let it all happen, and judge.

    Args:
        options: How the run is made.
        say: Shows a line of progress.
        azurite: A running one to share; one of its own when None.

    Raises:
        AzuriteMissing: Node.js or Azurite is not installed.
        WorkerStuck: A worker did not answer.
    """
    return _Run(options, say=say).run(azurite)


class _Run:
    """One run: what is told to whom, and when the clock moves."""

    def __init__(self, options: ChaosOptions, *, say: Callable[[str], None]) -> None:
        self._options = options
        self._say = say
        self._dice = random.Random(f"chaos:{options.seed}")  # noqa: S311 — it must be repeatable
        self._counts: Counter[str] = Counter()
        self._acknowledged: set[str] = set()
        self._failures: Counter[str] = Counter()
        self._complaints: list[str] = []
        self._late = False
        self._leapt = False
        self._scene: Environment

    def run(self, azurite: Azurite | None) -> Report:
        began = time.monotonic()
        plan = make_plan(self._options)
        with Environment(self._options, azurite=azurite, on_late=self._notice_late) as self._scene:
            for number, deliveries in enumerate(plan.rounds, 1):
                self._leapt = False
                self._deliver(deliveries)
                self._pause()
                self._progress(f"round {number} of {len(plan.rounds)}")
            self._calm_down()
            runs = self._scene.workspace.runs.all()
            checks = judge(plan.planned_events, table=self._scene.table, runs=runs)
            missing = {one.id for one in plan.planned_events} - self._acknowledged
            checks.complaints += [f"{one} was never acknowledged" for one in sorted(missing)]
            checks.complaints += self._complaints
            return Report(
                options=self._options,
                checks=checks,
                book=self._scene.book,
                counts=self._count(runs=len(runs), seconds=time.monotonic() - began),
            )

    def _deliver(self, deliveries: Iterable[Delivery]) -> None:
        """Deliver, and deliver again what failed or met a dying worker; tick now and then; wait for all of it."""
        pool = self._scene.pool
        waiting = deque(deliveries)
        until_tick = TICK_EVERY
        while waiting or pool.busy:
            while waiting and (slot := self._slot(waiting[0].worker)) is not None:
                one = waiting.popleft()
                pool.tell(slot, {"do": "deliver", **one.planned.to_json(), "crash": one.crash})
                until_tick -= 1
            if until_tick <= 0:
                until_tick = TICK_EVERY
                self._scene.move(self._dice.uniform(5, 30))
                self._scene.disturb_identity()
                self._tick()
            waiting.extend(self._hear())
            if self._late and not self._leapt:
                # A POST is being answered late: its lease runs out meanwhile, and others look at it. One such leap
                # a round: what is under way must never seem older than the time after which it is sent again.
                self._leapt = True
                self._scene.move((LEASE + timedelta(minutes=1)).total_seconds())
                self._tick()
                self._tick()
            self._late = False

    def _slot(self, wanted: int) -> int | None:
        """Return the wanted worker, or another one if it is busy; None when all are."""
        limit = self._options.threads * AT_ONCE
        slots = [wanted, *range(self._options.workers)]
        return next((slot for slot in slots if self._scene.pool.load(slot) < limit), None)

    def _hear(self) -> list[Delivery]:
        """Take the next notification from the workers; return the deliveries that must come again."""
        again = []
        for sign in self._scene.pool.listen():
            if isinstance(sign, Note):
                self._scene.book.note(sign.fault, sign.event)
                continue
            if sign.unexpected:
                self._complaints.append(f"{sign.command['do']} failed: {sign.failure}")
            if sign.command["do"] == "tick":
                self._counts["ticks"] += 1
                self._counts["failed_ticks"] += sign.failure is not None
            else:
                again += self._take_answer(sign.command, failure=sign.failure)
        return again

    def _take_answer(self, command: Mapping[str, Any], *, failure: str | None) -> list[Delivery]:
        one = Delivery.again(command, worker=self._dice.randrange(self._options.workers))
        identifier = one.planned.id
        self._counts["deliveries"] += 1
        if failure is None:
            self._acknowledged.add(identifier)
            return []
        self._counts["failed"] += 1
        self._failures[identifier] += 1
        if self._failures[identifier] > MAX_TRIES:
            self._complaints.append(f"{identifier} could not be delivered: {failure}")
            return []
        return [one]

    def _pause(self) -> None:
        """Move the clock on while nothing is under way, and let two instances tick at once; one of them may die."""
        self._scene.move(self._dice.uniform(300, 1200))
        dies = self._options.kills > 0 and self._dice.random() < 0.3
        self._tick(crash=self._dice.choice(CRASH_POINTS) if dies else None)
        self._tick()
        self._wait()

    def _calm_down(self) -> None:
        """End all faults; move the clock on, and tick, until nothing is due."""
        self._scene.calm()
        for step in range(1, MAX_STEPS + 1):
            due = self._next_due()
            if due is None:
                return
            wait = max((due - self._scene.now()).total_seconds(), 0)
            # What takes hours (a search that proves nothing goes on for a day) need not be seen at every step.
            self._scene.move(wait + 2 * SKEW + self._dice.uniform(60, 300 * min(step, 12)))
            self._tick()
            if step % 4 == 0:
                self._tick()  # two at once must do no harm
            self._wait()
            self._progress(f"settling, tick {step}")
        self._complaints.append(f"something is still due after {MAX_STEPS} ticks")

    def _next_due(self) -> datetime | None:
        rows = self._scene.table.page("due:", "due;", limit=1).rows
        return read_instant(rows[0].key.removeprefix("due:").partition(":")[0]) if rows else None

    def _tick(self, *, crash: str | None = None) -> None:
        slot = self._dice.randrange(self._options.workers)
        self._scene.pool.tell(slot, {"do": "tick", "crash": crash})

    def _wait(self) -> None:
        while self._scene.pool.busy:
            self._hear()

    def _notice_late(self) -> None:
        self._late = True
        self._scene.pool.nudge()

    def _count(self, *, runs: int, seconds: float) -> Counts:
        environment = self._scene
        received = environment.workspace.received
        return Counts(
            deliveries=self._counts["deliveries"],
            failed=self._counts["failed"],
            ticks=self._counts["ticks"],
            failed_ticks=self._counts["failed_ticks"],
            deaths=environment.pool.deaths,
            posts=sum("/PipelineSubmit/" in one.path for one in received),
            searches=sum("/runs:query" in one.path for one in received),
            runs=runs,
            hours=round(environment.hours, 1),
            seconds=round(seconds, 1),
        )

    def _progress(self, what: str) -> None:
        environment = self._scene
        self._say(
            f"{what}: {len(self._acknowledged)} of {self._options.events} events acknowledged, "
            f"{len(environment.workspace.runs.all())} runs, {environment.pool.deaths} workers killed, "
            f"{sum(environment.book.injected.values())} faults, clock at +{environment.hours:.1f} h"
        )
