"""How a chaos run is made: everything that, with the code, decides what is injected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from local.standins.workspace.search import SearchMode

START = datetime(2027, 3, 27, 12, 0, tzinfo=UTC)
"""When every run begins, by its own clock: ids of events are made of times, and the same seed must make the same."""

EVENTS_A_GROUP = 150
"""Events that share a pipeline: about as many runs as a look has to see through."""

CRASH_POINTS = ("before_claim", "after_claim", "after_post", "before_settle", "after_settle")
"""Where a worker kills itself."""

BUGS = ("settle_before_post", "send_again_on_500", "trust_blind_search", "one_token")
"""Deliberate mistakes, to prove that the harness notices them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosOptions:
    """How a chaos run is made.

    Attributes:
        events: How many events happen.
        seed: What everything random comes from.
        workers: Processes that share the ledger.
        threads: Deliveries that each of them takes at a time.
        post_faults: The share of POSTs that go wrong, 0 to 1.
        storage_faults: The share of the ledger's requests that go wrong.
        crashes: How often a worker is killed at each crash point; None: by the number of events.
        search: What the workspace's searches see.
        lag: How late, for a search that lags.
        bug: A deliberate mistake, one of `BUGS`.
        only_fault: The one that POSTs meet, of `chaos_faults.POST_FAULTS`; any of them when None.
        only_crash: Nothing else goes wrong than that the worker of one event is killed, at this point.
    """

    events: int = 1000
    seed: int = 0
    workers: int = 4
    threads: int = 6
    post_faults: float = 0.3
    storage_faults: float = 0.02
    crashes: int | None = None
    search: SearchMode = SearchMode.NORMAL
    lag: timedelta = timedelta(minutes=40)
    bug: str | None = None
    only_fault: str | None = None
    only_crash: str | None = None

    @classmethod
    def crash_at(cls, point: str) -> ChaosOptions:
        """Return options for a few events, one of which meets a crash at that point, and nothing else."""
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
        """How many pipelines there are; each has a trigger of every source."""
        return max(1, self.events // EVENTS_A_GROUP)

    @property
    def kills(self) -> int:
        """How often a worker is killed at each crash point."""
        return max(1, self.events // 500) if self.crashes is None else self.crashes

    @property
    def rounds(self) -> int:
        """How often the clock is moved on between deliveries: their hours must stay far below `give_up_after`."""
        return max(2, min(20, self.events // 100))
