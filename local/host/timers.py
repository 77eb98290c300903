"""Timer functions as the Functions host runs them (webjobs-sdk-extensions): NCRONTAB in UTC, one call at a time.

A run longer than the interval is followed at once by one late run. What was missed while the host
was down makes exactly one call with `IsPastDue`, however much it was; for that the last occurrence
is kept in a file.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from cronsim import CronSim, CronSimError

from local.host.log import run_logged
from local.host.runtime import AppFailed, Function, Runtime


class Ncrontab:
    """A six-field NCRONTAB expression: second, minute, hour, day, month, day of week; UTC.

    Raises:
        ValueError: It cannot be read, or never comes.
    """

    def __init__(self, expression: str) -> None:
        self.expression = expression
        if len(expression.split()) != 6:  # the fields named above
            raise ValueError(
                f"{expression!r} must have six fields: second minute hour day month day-of-week"
            )
        try:
            CronSim(expression, datetime(2000, 1, 1))
        except CronSimError as error:
            raise ValueError(f"{expression!r} is not NCRONTAB: {error}") from error

    def after(self, instant: datetime) -> datetime:
        """Return the first occurrence after an aware instant in UTC."""
        occurrences = CronSim(self.expression, instant)
        # NCRONTAB wants day and weekday both; cronsim, as Debian's cron, either.
        occurrences.day_and = True
        return next(occurrences)


class Timer:
    """One timer function: knows when it is due, and runs it, never twice at once.

    Attributes:
        name: The function's name.
    """

    def __init__(
        self,
        function: Function,
        runtime: Runtime,
        *,
        clock: Callable[[], datetime],
        state: Path | None = None,
    ) -> None:
        """Read the schedule.

        Args:
            function: The function.
            runtime: What calls it.
            clock: The time, aware, in UTC.
            state: Directory of the file that remembers the last occurrence; nothing is remembered
                when None.

        Raises:
            AppFailed: The schedule is not NCRONTAB.
        """
        self.name = function.name
        self._runtime = runtime
        self._clock = clock
        self._file = None if state is None else state / f"timer-{function.name}.json"
        self._running = threading.Lock()
        self._run_on_startup = bool(function.trigger.get("runOnStartup"))
        schedule = resolve_settings(str(function.trigger["schedule"]), function.name)
        try:
            self._schedule = Ncrontab(schedule)
        except ValueError as error:
            raise AppFailed(f"{function.name}: {error}") from error
        self._last: datetime | None = None
        self.due = self._schedule.after(clock())

    def start(self) -> None:
        """Make the call that was missed while the host was down, if any; or the one that `runOnStartup` wants."""
        stored = self._read_last()
        past_due = stored is not None and self._schedule.after(stored) <= self._clock()
        if past_due or self._run_on_startup:
            self._last = stored
            self.run(past_due=past_due)
            self._write_last(self._clock())

    def run_due(self) -> None:
        """Run the occurrence that is due and find the next one."""
        occurrence = self.due
        self.run()
        self._last = occurrence
        self._write_last(occurrence)
        # If the next one has passed meanwhile, one late run follows at once and stands for all that passed.
        self.due = max(self._schedule.after(occurrence), self._clock())

    def run(self, *, past_due: bool = False) -> None:
        """Call the function, after any call of it that is under way."""
        with self._running:
            due = self._schedule.after(self._clock())
            run_logged(
                self.name,
                "timer, past due" if past_due else "timer",
                lambda invocation_id: self._runtime.invoke_timer(
                    self.name,
                    last=self._last,
                    due=due,
                    past_due=past_due,
                    invocation_id=invocation_id,
                ),
            )

    def _read_last(self) -> datetime | None:
        if self._file is None or not self._file.is_file():
            return None
        return datetime.fromisoformat(json.loads(self._file.read_text("utf-8"))["last"])

    def _write_last(self, occurrence: datetime) -> None:
        if self._file is not None:
            part = self._file.with_suffix(".part")
            part.write_text(json.dumps({"last": occurrence.isoformat()}), "utf-8")
            part.replace(self._file)


class TimerThread:
    """Runs one timer, from `start` until `close`."""

    def __init__(self, timer: Timer, *, clock: Callable[[], datetime]) -> None:
        self._timer = timer
        self._clock = clock
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"timer-{timer.name}")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop, after a call that is under way."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        self._timer.start()
        while not self._stopped.wait(max(0.0, (self._timer.due - self._clock()).total_seconds())):
            self._timer.run_due()


def resolve_settings(text: str, function: str) -> str:
    """Put app settings in the place of `%NAME%`, as the host does in schedules and paths.

    Raises:
        AppFailed: A setting is missing.
    """

    def read(found: re.Match[str]) -> str:
        try:
            return os.environ[found.group(1)]
        except KeyError:
            raise AppFailed(f"{function}: there is no app setting {found.group(1)}") from None

    return re.sub(r"%([^%]+)%", read, text)
