"""Measure the processor time of a tick's due-check for 1,000 schedules of all kinds, when nothing is due.

Run `python -m bench.due_check`. It prints the time, its ratio to reading the same number of trigger rows (which a tick
always does), and the calls to the ledger. It asserts nothing, because times on a shared machine vary too much.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from local.testing.app import HEAD, bench
from shared.engine.tick.occurrences import plan_occurrences

COUNT = 1000
ROUNDS = 9
KINDS = (
    "frequency: minute, interval: 9999",
    "frequency: hour, interval: 7, start_time: '1970-01-01T00:59:00'",
    "frequency: day, time_of_day: 2:30, time_zone: Europe/Berlin",
    "frequency: week, interval: 2, week_days: [monday, friday], hours: [6, 18], time_zone: America/New_York",
    "frequency: month, month_days: [-1, 15], hours: [9], time_zone: Australia/Lord_Howe, jitter: 10m",
    "cron: 30 6 * * MON-FRI",
    "cron: 30 6 L * *, time_zone: Asia/Kathmandu, catch_up: all",
    "cron: 59 */6 * * *, time_zone: America/Sao_Paulo",
    "cron: 0 0 29 2 *, time_zone: Europe/Berlin",
    "cron: 0 7 * * MON#5, time_zone: Pacific/Apia, except: [2027-12-24 to 2028-01-02]",
)


def processor_time(action: Callable[[], object]) -> float:
    """Return the median processor time of an action, in seconds."""
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return statistics.median(times)


def main() -> None:
    """Measure and print the cost of one due-check."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "triggers.yaml"
        lines = (
            f"  t{number}: {{pipeline: scoring, schedule: {{{KINDS[number % len(KINDS)]}}}}}\n"
            for number in range(COUNT)
        )
        file.write_text(HEAD + "".join(lines), encoding="utf-8")
        found = bench(file)
    found.app.tick()
    found.clock.advance(minutes=1)
    now, ledger = found.clock.now(), found.app.services.ledger
    registrations = [trigger.registration(now) for trigger in found.config.triggers.values()]
    states = ledger.triggers.register_all(registrations)
    before = ledger.tick.read()

    def check() -> None:
        plan = plan_occurrences(found.config, states, common=before.watermark, now=now)
        if plan.run or plan.skip:
            raise SystemExit("something is due, but the benchmark measures an idle tick")

    check()
    checked, read = (
        processor_time(check),
        processor_time(lambda: ledger.triggers.register_all(registrations)),
    )
    counted = found.table.calls.copy()
    found.app.tick()
    calls = dict(found.table.calls - counted)
    print(f"{COUNT} schedules, nothing due: {checked * 1000:.1f} ms of processor time")
    print(f"ratio to reading their rows from memory: {checked / read:.2f}")
    print(f"calls of the whole tick to the ledger: {calls}")


if __name__ == "__main__":
    main()
