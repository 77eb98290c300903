"""The options of a chaos run. Together with the code, they decide which faults are injected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from local.standins.workspace.search import SearchMode

START = datetime(2027, 3, 27, 12, 0, tzinfo=UTC)
"""The time at which the clock of every run starts.

It is fixed because deduplication keys contain event times: the same seed must give the same keys.
"""

EVENTS_PER_GROUP = 150
"""Events that share a pipeline. It bounds how many runs one search has to go through."""

CRASH_POINTS = ("before_claim", "after_claim", "after_post", "before_settle", "after_settle")
"""The points at which a worker can kill itself."""

DEFECTS = ("settle_before_post", "send_again_on_500", "trust_blind_search", "one_token")
"""Deliberate defects. The harness must detect each of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosOptions:
    """The options of one chaos run."""

    events: int = 1000
    """How many events are delivered."""
    seed: int = 0
    """The seed of every random decision."""
    workers: int = 4
    """How many processes share the ledger."""
    threads: int = 6
    """How many deliveries each process handles at a time."""
    post_faults: float = 0.3
    """The fraction of calls to the workspace that get a fault, 0 to 1."""
    storage_faults: float = 0.02
    """The fraction of the ledger's requests that get a fault, 0 to 1."""
    crashes: int | None = None
    """How often a worker is killed at each crash point. None derives it from the number of events."""
    search: SearchMode = SearchMode.NORMAL
    """Which runs the workspace's searches show."""
    lag: timedelta = timedelta(minutes=40)
    """The delay of a lagging search."""
    defect: str | None = None
    """A deliberate defect, one of `DEFECTS`."""
    only_fault: str | None = None
    """The only fault that POSTs get, a key of `faults.POST_FAULTS`. None allows all of them."""
    only_crash: str | None = None
    """A crash point. One worker is killed there, once, and no other fault is injected."""

    @classmethod
    def crash_at(cls, point: str) -> ChaosOptions:
        """Return options for a few events, of which one meets a crash at `point` and no other fault."""
        return cls(
            events=6,
            workers=2,
            threads=2,
            post_faults=0.0,
            storage_faults=0.0,
            crashes=0,
            only_crash=point,
        )

    @property
    def groups(self) -> int:
        """How many pipelines there are. Each has one trigger for every source."""
        return max(1, self.events // EVENTS_PER_GROUP)

    @property
    def crashes_per_point(self) -> int:
        """How often a worker is killed at each crash point."""
        return max(1, self.events // 500) if self.crashes is None else self.crashes

    @property
    def rounds(self) -> int:
        """How many rounds the deliveries are split into. The clock advances between two rounds."""
        # 20 rounds of at most 40 minutes stay far below `give_up_after`, which is 24 hours.
        return max(2, min(20, self.events // 100))
