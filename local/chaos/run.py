"""One chaos run: the real app in several processes, while faults and crashes are injected, then the checks.

Storage is Azurite. The workspace and the identity endpoint are stand-ins over real sockets. All code between them and
the ledger's rows is the product's. Only the HEAD of a blob is a double, which derives a blob's facts from its name.
"""

from __future__ import annotations

import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from local.chaos.checks import Counts, Report, check_run
from local.chaos.environment import Environment
from local.chaos.options import CRASH_POINTS, ChaosOptions
from local.chaos.plan import Delivery, make_plan
from local.chaos.workers import SKEW, InjectedFault
from local.standins.azurite import Azurite
from shared.core.leases import LEASE
from shared.core.times import read_instant

COMMANDS_PER_THREAD = 2
"""How many commands a worker can have open, as a multiple of its threads."""

TICK_EVERY = 60
"""The number of deliveries between two ticks."""

MAX_FAILURES = 50
"""How many deliveries of one event may fail before the run gives the event up."""

MAX_STEPS = 2000
"""How many steps the run takes until nothing is due, before it reports a problem."""


def run(
    options: ChaosOptions, *, say: Callable[[str], None], azurite: Azurite | None = None
) -> Report:
    """Run the scenario and check the result.

    Args:
        options: The options of the run.
        say: Shows one line of progress.
        azurite: A running Azurite to share. If None, the run starts its own.

    Raises:
        AzuriteMissing: Node.js or Azurite is not installed.
        WorkerStuck: A worker did not start, did not answer or ended unexpectedly.
    """
    return _ChaosRun(options, say=say).run(azurite)


class _ChaosRun:
    """One run: which worker gets which command, and when the clock advances."""

    def __init__(self, options: ChaosOptions, *, say: Callable[[str], None]) -> None:
        self._options = options
        self._say = say
        self._random = random.Random(f"chaos:{options.seed}")  # noqa: S311 — it must be repeatable
        self._counts: Counter[str] = Counter()
        self._acknowledged: set[str] = set()
        self._failures: Counter[str] = Counter()
        self._problems: list[str] = []
        self._answer_is_late = False
        self._passed_lease = False
        self._environment: Environment

    def run(self, azurite: Azurite | None) -> Report:
        began = time.monotonic()
        plan = make_plan(self._options)
        with Environment(
            self._options, azurite=azurite, on_late=self._on_late
        ) as self._environment:
            for number, deliveries in enumerate(plan.rounds, 1):
                self._passed_lease = False
                self._deliver(deliveries)
                self._end_round()
                self._show_progress(f"round {number} of {len(plan.rounds)}")
            self._settle()
            runs = self._environment.workspace.runs.all()
            checks = check_run(plan.events, table=self._environment.table, runs=runs)
            missing = {event.id for event in plan.events} - self._acknowledged
            checks.problems += [f"{one} was never acknowledged" for one in sorted(missing)]
            checks.problems += self._problems
            return Report(
                options=self._options,
                checks=checks,
                fault_log=self._environment.fault_log,
                counts=self._count(runs=len(runs), seconds=time.monotonic() - began),
            )

    def _deliver(self, deliveries: Iterable[Delivery]) -> None:
        """Make all deliveries of a round, with ticks in between, and repeat those that failed or met a crash."""
        pool = self._environment.pool
        waiting = deque(deliveries)
        until_tick = TICK_EVERY
        while waiting or pool.busy:
            while waiting and (slot := self._free_slot(waiting[0].worker)) is not None:
                one = waiting.popleft()
                pool.send(slot, {"command": "deliver", **one.event.to_json(), "crash": one.crash})
                until_tick -= 1
            if until_tick <= 0:
                until_tick = TICK_EVERY
                self._environment.advance_clock(self._random.uniform(5, 30))
                self._environment.inject_identity_fault()
                self._tick()
            waiting.extend(self._receive())
            if self._answer_is_late and not self._passed_lease:
                # A POST is still being answered. Its lease expires now, and the ticks find its submission. This
                # happens once a round, so that no POST seems older than the time after which it is sent again.
                self._passed_lease = True
                self._environment.advance_clock((LEASE + timedelta(minutes=1)).total_seconds())
                self._tick()
                self._tick()
            self._answer_is_late = False

    def _free_slot(self, wanted: int) -> int | None:
        """Return the wanted worker's slot, or that of another worker if it is busy, or None if all are."""
        limit = self._options.threads * COMMANDS_PER_THREAD
        slots = [wanted, *range(self._options.workers)]
        return next((slot for slot in slots if self._environment.pool.load(slot) < limit), None)

    def _receive(self) -> list[Delivery]:
        """Handle the next messages of the workers, and return the deliveries to repeat."""
        repeated = []
        for message in self._environment.pool.receive():
            if isinstance(message, InjectedFault):
                self._environment.fault_log.record(message.fault, message.event)
                continue
            command, failure = message.command, message.failure
            if message.unexpected:
                self._problems.append(f"{command['command']} failed unexpectedly: {failure}")
            if command["command"] == "tick":
                self._counts["ticks"] += 1
                self._counts["failed_ticks"] += failure is not None
            else:
                repeated += self._end_delivery(command, failure=failure)
        return repeated

    def _end_delivery(self, command: Mapping[str, Any], *, failure: str | None) -> list[Delivery]:
        one = Delivery.repeat(command, worker=self._random.randrange(self._options.workers))
        identifier = one.event.id
        self._counts["deliveries"] += 1
        if failure is None:
            self._acknowledged.add(identifier)
            return []
        self._counts["failed"] += 1
        self._failures[identifier] += 1
        if self._failures[identifier] > MAX_FAILURES:
            self._problems.append(f"{identifier} could not be delivered: {failure}")
            return []
        return [one]

    def _end_round(self) -> None:
        """Advance the clock while no command is open, and run two ticks at once. One of them may crash."""
        self._environment.advance_clock(self._random.uniform(300, 1200))
        crashes = self._options.crashes_per_point > 0 and self._random.random() < 0.3
        self._tick(crash=self._random.choice(CRASH_POINTS) if crashes else None)
        self._tick()
        self._wait()

    def _settle(self) -> None:
        """Stop all faults, then advance the clock and tick until nothing is due."""
        self._environment.stop_faults()
        for step in range(1, MAX_STEPS + 1):
            due = self._next_due()
            if due is None:
                return
            wait = max((due - self._environment.now()).total_seconds(), 0)
            # Steps get longer, because inconclusive searches of a submission can go on for a day.
            margin = self._random.uniform(60, 300 * min(step, 12))
            self._environment.advance_clock(wait + 2 * SKEW + margin)
            self._tick()
            if step % 4 == 0:
                self._tick()  # two ticks at once must do no harm
            self._wait()
            self._show_progress(f"settling, tick {step}")
        self._problems.append(f"something is still due after {MAX_STEPS} ticks")

    def _next_due(self) -> datetime | None:
        rows = self._environment.table.page("due:", "due;", limit=1).rows
        return read_instant(rows[0].key.removeprefix("due:").partition(":")[0]) if rows else None

    def _tick(self, *, crash: str | None = None) -> None:
        slot = self._random.randrange(self._options.workers)
        self._environment.pool.send(slot, {"command": "tick", "crash": crash})

    def _wait(self) -> None:
        while self._environment.pool.busy:
            self._receive()

    def _on_late(self) -> None:
        self._answer_is_late = True
        self._environment.pool.wake()

    def _count(self, *, runs: int, seconds: float) -> Counts:
        environment = self._environment
        received = environment.workspace.received
        return Counts(
            deliveries=self._counts["deliveries"],
            failed=self._counts["failed"],
            ticks=self._counts["ticks"],
            failed_ticks=self._counts["failed_ticks"],
            crashes=environment.pool.crashes,
            posts=sum("/PipelineSubmit/" in one.path for one in received),
            searches=sum("/runs:query" in one.path for one in received),
            runs=runs,
            hours=round(environment.hours, 1),
            seconds=round(seconds, 1),
        )

    def _show_progress(self, step: str) -> None:
        environment = self._environment
        self._say(
            f"{step}: {len(self._acknowledged)} of {self._options.events} events acknowledged, "
            f"{len(environment.workspace.runs.all())} runs, {environment.pool.crashes} workers killed, "
            f"{environment.fault_log.injected.total()} faults, clock at +{environment.hours:.1f} h"
        )
