"""Timer functions as the Functions host runs them (webjobs-sdk-extensions): NCRONTAB in UTC, one call at a time.

If a call takes longer than the interval, one late call follows at once. If occurrences were missed while the host was
down, exactly one call with `IsPastDue` follows, however many they were. For that, a file keeps the last occurrence.
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
    """A six-field NCRONTAB expression in UTC: second, minute, hour, day, month, day of week.

    Raises:
        ValueError: The expression cannot be read, or has no occurrence.
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
        """Return the first occurrence after an instant (timezone-aware, in UTC)."""
        occurrences = CronSim(self.expression, instant)
        # In NCRONTAB, day and weekday must both match. In cronsim, as in Debian's cron, one of them is enough.
        occurrences.day_and = True
        return next(occurrences)


class Timer:
    """A timer function and its next occurrence. It never runs twice at once."""

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
            runtime: The runtime that calls it.
            clock: Returns the current time (timezone-aware, in UTC).
            state: The directory of the file with the last occurrence. None keeps nothing.

        Raises:
            AppFailed: The schedule is not NCRONTAB.
        """
        self.name = function.name
        """The function's name."""
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
        """The next occurrence."""

    def start(self) -> None:
        """Call the function if occurrences were missed while the host was down, or if it has `runOnStartup`."""
        stored = self._read_last()
        past_due = stored is not None and self._schedule.after(stored) <= self._clock()
        if past_due or self._run_on_startup:
            self._last = stored
            self.run(past_due=past_due)
            self._write_last(self._clock())

    def run_due(self) -> None:
        """Call the function for the occurrence that is due, and find the next one."""
        occurrence = self.due
        self.run()
        self._last = occurrence
        self._write_last(occurrence)
        # If later occurrences have passed meanwhile, one late call follows at once for all of them.
        self.due = max(self._schedule.after(occurrence), self._clock())

    def run(self, *, past_due: bool = False) -> None:
        """Call the function when no other call of it is running."""
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
    """A thread that runs one timer, from `start` until `close`."""

    def __init__(self, timer: Timer, *, clock: Callable[[], datetime]) -> None:
        self._timer = timer
        self._clock = clock
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"timer-{timer.name}")

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop the thread after a call that is running."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        self._timer.start()
        while not self._stopped.wait(max(0.0, (self._timer.due - self._clock()).total_seconds())):
            self._timer.run_due()


def resolve_settings(text: str, function: str) -> str:
    """Return a schedule or path in which app settings replace `%NAME%`, as in the host.

    Args:
        text: The schedule or path.
        function: The function's name, for errors.

    Raises:
        AppFailed: A setting is missing.
    """

    def read(found: re.Match[str]) -> str:
        try:
            return os.environ[found.group(1)]
        except KeyError:
            raise AppFailed(f"{function}: there is no app setting {found.group(1)}") from None

    return re.sub(r"%([^%]+)%", read, text)
