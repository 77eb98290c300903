"""Triggers' rows: when each was first seen, its floor, and whether a person switched it off.

What is known is cached for 30 seconds by each process; the cache only saves reads.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.events import print_instant, read_instant
from shared.ledger import rows
from shared.ledger.guarded import WRITE_TRIES, GuardedTable, unavailable
from shared.ledger.table import (
    MAX_OPERATIONS,
    Insert,
    Merge,
    Operation,
    Row,
    RowConflict,
    TableUnavailable,
    Value,
)

TRIGGER_CACHE = timedelta(seconds=30)
GRACE = timedelta(minutes=15)
"""How far before its first sight a trigger's floor lies: the upload that woke a sleeping app must count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerState:
    """What the ledger knows of a trigger.

    Attributes:
        name: The trigger's name.
        place: What the first sight was of; another place is a new first sight.
        first_seen: When the trigger, with this place, was first seen.
        floor: Events older than this start nothing; None when all count.
        enabled: A person's override; None when there is none.
    """

    name: str
    place: str
    first_seen: datetime
    floor: datetime | None
    enabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A trigger as today's file has it.

    Attributes:
        name: The trigger's name.
        place: What a first sight is of.
        floor: The floor to set at a first sight: None when everything that there is counts.
        time: Now: what `first_seen` becomes at a first sight.
    """

    name: str
    place: str
    floor: datetime | None
    time: datetime


class Sightings:
    """The triggers' rows of a ledger.

    Args:
        table: Where they are.
        monotonic: Seconds, for the age of what is cached.
    """

    def __init__(self, table: GuardedTable, *, monotonic: Callable[[], float]) -> None:
        self._table = table
        self._monotonic = monotonic
        self._seen: dict[str, tuple[float, TriggerState]] = {}
        self._lock = threading.Lock()

    def see(self, sighting: Sighting) -> TriggerState:
        """Return what is known of a trigger; its first sight is recorded.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        with self._lock:
            read_at, known = self._seen.get(sighting.name, (0.0, None))
        fresh = self._monotonic() - read_at < TRIGGER_CACHE.total_seconds()
        if known is not None and known.place == sighting.place and fresh:
            return known
        return self._remember([self._see(sighting)])[sighting.name]

    def see_all(self, sightings: Iterable[Sighting]) -> Mapping[str, TriggerState]:
        """Do what `see` does for many triggers, past the cache: one query, and one write for 100 new ones.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        known = {row.key: row for row in self._table.range(*rows.TRIGGERS)}
        states: list[TriggerState] = []
        unseen: list[Sighting] = []
        for sighting in sightings:
            row = known.get(rows.trigger_key(sighting.name))
            if row is not None and row.values.get("place") == sighting.place:
                states.append(_decode(row))
            else:
                unseen.append(sighting)
        for first in range(0, len(unseen), MAX_OPERATIONS):
            batch = unseen[first : first + MAX_OPERATIONS]
            new = [_first_sight(found, known.get(rows.trigger_key(found.name))) for found in batch]
            try:
                self._table.transact([_record(state, known) for state in new])
                states += new
            except (RowConflict, TableUnavailable):
                # Another instance saw one of them first, or the answer was lost: one by one, what is there decides.
                states += [self._see(sighting) for sighting in batch]
        return self._remember(states)

    def _see(self, sighting: Sighting) -> TriggerState:
        failure: Exception | None = None
        for _ in range(WRITE_TRIES):
            row = self._table.get(rows.trigger_key(sighting.name))
            if row is not None and row.values.get("place") == sighting.place:
                return _decode(row)
            state = _first_sight(sighting, row)
            try:
                self._table.transact([_record(state, {row.key: row} if row else {})])
            except (RowConflict, TableUnavailable) as error:
                failure = error
            else:
                return state
        raise unavailable(failure)

    def _remember(self, states: Iterable[TriggerState]) -> Mapping[str, TriggerState]:
        read_at = self._monotonic()
        found = {state.name: state for state in states}
        with self._lock:
            self._seen |= {name: (read_at, state) for name, state in found.items()}
        return found


def _first_sight(sighting: Sighting, row: Row | None) -> TriggerState:
    return TriggerState(
        name=sighting.name,
        place=sighting.place,
        first_seen=sighting.time,
        floor=sighting.floor,
        enabled=_decode(row).enabled if row else None,
    )


def _record(state: TriggerState, known: Mapping[str, Row]) -> Operation:
    key = rows.trigger_key(state.name)
    if key in known:
        return Merge(key, _encode(state), known[key].etag)
    return Insert(key, _encode(state))


def _encode(state: TriggerState) -> dict[str, Value]:
    return {
        "schema": rows.SCHEMA,
        "place": state.place,
        "first_seen": print_instant(state.first_seen),
        "floor": print_instant(state.floor) if state.floor else "",
        "enabled": "" if state.enabled is None else str(state.enabled).lower(),
    }


def _decode(row: Row) -> TriggerState:
    enabled = str(row.values.get("enabled") or "")
    return TriggerState(
        name=row.key.removeprefix("trigger:"),
        place=str(row.values["place"]),
        first_seen=read_instant(str(row.values["first_seen"])),
        floor=rows.read_optional(row.values.get("floor")),
        enabled={"true": True, "false": False}.get(enabled),
    )
