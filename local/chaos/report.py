"""The report of a chaos run, for machines; `cli.chaos` shows it to eyes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from local.chaos.checks import Checks
from local.chaos.faults import FaultBook
from local.chaos.options import ChaosOptions

SHOWN = 50
"""Complaints that a report repeats; their number is told in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What a run has done.

    Attributes:
        deliveries: Deliveries, those after a failure or a death included.
        failed: Deliveries that failed loudly.
        ticks: Ticks, and how many of them failed.
        deaths: Workers that were killed.
        posts: POSTs that the workspace received.
        searches: Searches for runs that it received.
        runs: Runs that it made.
        hours: How far the clock was moved on.
        seconds: What it all took, in real time.
    """

    deliveries: int
    failed: int
    ticks: int
    failed_ticks: int
    deaths: int
    posts: int
    searches: int
    runs: int
    hours: float
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a chaos run found.

    Attributes:
        options: How it was made: enough to make it again.
        verdict: What was found at the end.
        book: What was injected.
        counts: What was done.
    """

    options: ChaosOptions
    checks: Checks
    book: FaultBook
    counts: Counts

    @property
    def ok(self) -> bool:
        """Whether everything is as it must be."""
        return self.checks.ok

    @property
    def lost(self) -> int:
        """How many events have no run and no reason."""
        return len(self.checks.lost)

    @property
    def doubled(self) -> int:
        """How many events have more than one run."""
        return len(self.checks.doubled)

    def to_json(self) -> dict[str, Any]:
        """Return it for machines."""
        checks, counts, options = self.checks, self.counts, self.options
        return {
            "ok": self.ok,
            "lost": self.lost,
            "doubled": self.doubled,
            "seed": options.seed,
            "events": options.events,
            "options": {
                "workers": options.workers,
                "threads": options.threads,
                "post_faults": options.post_faults,
                "storage_faults": options.storage_faults,
                "kills_at_each_point": options.kills,
                "search": options.search.value,
                "lag_minutes": options.lag.total_seconds() / 60,
                "bug": options.bug,
                "only_fault": options.only_fault,
                "only_crash": options.only_crash,
            },
            "states": dict(sorted(checks.states.items())),
            "counts": {name: getattr(counts, name) for name in Counts.__slots__},
            "faults": checks.table(self.book),
            "lost_ids": checks.lost[:SHOWN],
            "doubled_ids": checks.doubled[:SHOWN],
            "complaints": len(checks.complaints),
            "first_complaints": checks.complaints[:SHOWN],
        }
