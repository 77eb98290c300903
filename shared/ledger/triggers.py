"""The triggers of a ledger: when they were registered, how far they are behind, and what people decided.

Each process caches what it knows for 30 seconds. The cache only saves reads.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from shared.core.clocks import is_ahead
from shared.core.errors import TriggerUnreadable
from shared.core.telemetry import Action, log_decision
from shared.core.times import print_instant
from shared.core.trigger_state import OwnWatermark, Registration, TriggerState
from shared.ledger import rows
from shared.ledger.table.errors import RowConflict, TableUnavailable
from shared.ledger.table.guarded import WRITE_TRIES, GuardedTable, unavailable
from shared.ledger.table.protocol import MAX_OPERATIONS, Delete, Insert, Merge, Operation, Row
from shared.ledger.trigger_rows import (
    decode_state,
    encode_decision,
    encode_registration,
    encode_watermark,
    new_state,
    unreadable_state,
)

logger = logging.getLogger(__name__)

TRIGGER_CACHE = timedelta(seconds=30)

SEEN_EVERY = timedelta(minutes=30)
"""How old a registration's `seen_at` is when a tick renews it."""

ABSENT_AFTER = timedelta(hours=2)
"""If the ticks went on for so long without a registration, it counts as new when it comes back."""

FORGOTTEN_AFTER = timedelta(days=7)
"""If the ticks went on for so long without a registration, its row is deleted."""


class TriggerRows:
    """The triggers' rows of a ledger.

    Args:
        table: Where they are.
        monotonic: Seconds of a monotonic clock, for the age of cached rows.
    """

    def __init__(self, table: GuardedTable, *, monotonic: Callable[[], float]) -> None:
        self._table = table
        self._monotonic = monotonic
        self._cache: dict[str, tuple[float, TriggerState]] = {}
        self._lock = threading.Lock()

    def register(self, registration: Registration, *, past_cache: bool = False) -> TriggerState:
        """Return what is known of a trigger. If it is not registered with this source key, register it.

        Args:
            registration: The trigger as today's file has it.
            past_cache: Whether to read the rows in any case.

        Raises:
            LedgerUnavailable: The table did not answer.
            TriggerUnreadable: A row cannot be read.
        """
        with self._lock:
            read_at, known = self._cache.get(registration.name, (0.0, None))
        age = self._monotonic() - read_at
        fresh = not past_cache and age < TRIGGER_CACHE.total_seconds()
        if known is not None and known.source_key == registration.source_key and fresh:
            return known
        state, _ = self._register(registration)
        return self._remember([state])[registration.name]

    def register_all(
        self,
        registrations: Iterable[Registration],
        *,
        last_tick: datetime | None = None,
        ledger_time: datetime | None = None,
    ) -> Mapping[str, TriggerState]:
        """Do what a tick needs of all triggers of its file, past the cache, with one query.

        New triggers are registered. So are those that the ticks went on without for two hours, and those that a clock
        far ahead has registered. Every half hour the others are noted as seen. Either takes one write for 100 triggers.
        Registrations that are long gone are deleted. A row that cannot be read is logged. Its trigger's state has an
        `error`, and the others go on.

        Args:
            registrations: All triggers of today's file.
            last_tick: When the last tick of any version of the file was.
            ledger_time: The time of the table service. None: it is not known.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        by_name = {registration.name: registration for registration in registrations}
        known = self._known()
        states: list[TriggerState] = []
        new: list[TriggerState] = []
        seen: list[TriggerState] = []
        for registration in by_name.values():
            state = _state_or_error(registration, known)
            if state.error is not None:
                _log_unreadable(state)
                states.append(state)
            elif not state.is_registered:
                new.append(state)
            elif _is_absent(state.seen_at, ABSENT_AFTER, last_tick) or is_ahead(
                state.registered_at, ledger_time
            ):
                new.append(_registered_anew(state, registration))
            elif registration.time - state.seen_at > SEEN_EVERY:
                seen.append(state)
            else:
                states.append(state)
        for batch in _batches(new):
            states += self._record(batch, by_name)
        for batch in _batches(seen):
            states += self._note_as_seen(batch, by_name)
        self._forget(known, by_name.values(), last_tick)
        return self._remember(states)

    def read_states(self, registrations: Iterable[Registration]) -> Mapping[str, TriggerState]:
        """Return what is known of many triggers, or what a registration would record. Nothing is recorded.

        If a row cannot be read, its trigger's state has an `error`.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        known = self._known()
        return {one.name: _state_or_error(one, known) for one in registrations}

    def override(
        self, registration: Registration, change: Callable[[TriggerState], TriggerState]
    ) -> TriggerState:
        """Record that a person enabled or disabled a trigger. If it is not registered yet, register it too.

        Args:
            registration: The trigger as today's file has it.
            change: Returns what its state becomes. It must change nothing if its effect is there already.

        Raises:
            LedgerUnavailable: It may not be recorded.
            TriggerUnreadable: A row cannot be read.
        """
        key = rows.trigger_key(registration.name)
        failure: Exception | None = None
        for _ in range(WRITE_TRIES):
            before, decision = self._register(registration)
            after = change(before)
            if after == before:
                return self._remember([before])[before.name]
            values = encode_decision(after)
            change_row: Operation = (
                Merge(key, values, decision.etag) if decision is not None else Insert(key, values)
            )
            try:
                self._table.transact([change_row])
            except (RowConflict, TableUnavailable) as error:
                failure = error
            else:
                return self._remember([after])[after.name]
        raise unavailable(failure)

    def move_watermarks(
        self, watermarks: Mapping[str, OwnWatermark | None], states: Mapping[str, TriggerState]
    ) -> None:
        """Record the own watermarks of triggers that are behind the common one, or that they have none any more.

        A watermark says that everything up to it is recorded. Any instance's is true, so it is written in any case.
        That nothing is left (None) is true for what this instance saw. So it is written only if the row has not
        changed since: another instance may just have set a watermark.

        Raises:
            LedgerUnavailable: Some are not recorded. Do not move the common watermark.
        """
        changes = [_watermark(own, states[name]) for name, own in watermarks.items()]
        for batch in _batches(changes):
            try:
                self._table.transact(batch)
            except (RowConflict, TableUnavailable):
                for change in batch:
                    self._change(change)

    def _known(self) -> Mapping[str, Row]:
        return {row.key: row for row in self._table.range(*rows.TRIGGERS)}

    def _register(self, registration: Registration) -> tuple[TriggerState, Row | None]:
        """Return the state of a trigger, registered if need be, and the row of what a person decided."""
        failure: Exception | None = None
        for _ in range(WRITE_TRIES):
            decision = self._table.get(rows.trigger_key(registration.name))
            row = self._table.get(rows.registration_key(registration.name, registration.source_key))
            state = decode_state(registration, row, decision)
            if state.is_registered:
                return state, decision
            try:
                etags = self._table.transact([_registration(state)])
            except (RowConflict, TableUnavailable) as error:
                failure = error
            else:
                return replace(state, etag=etags[0]), decision
        raise unavailable(failure)

    def _record(
        self, new: list[TriggerState], registrations: Mapping[str, Registration]
    ) -> Iterable[TriggerState]:
        """Register some triggers at once."""
        try:
            etags = self._table.transact([_registration(state) for state in new])
        except (RowConflict, TableUnavailable):
            # Another instance registered one of them first, or the answer was lost. One by one, the row decides.
            return [self._register_or_error(registrations[state.name]) for state in new]
        return _with_etags(new, etags)

    def _note_as_seen(
        self, states: list[TriggerState], registrations: Mapping[str, Registration]
    ) -> Iterable[TriggerState]:
        """Note that some triggers are still in a version of the file that is at work."""
        seen = [replace(state, seen_at=registrations[state.name].time) for state in states]
        try:
            etags = self._table.transact(
                [
                    Merge(_key(state), {"seen_at": print_instant(state.seen_at)}, state.etag)
                    for state in seen
                ]
            )
        except RowConflict:
            return states  # another instance is doing it. If it did not do all, the next tick does the rest
        except TableUnavailable as error:
            raise unavailable(error) from error
        return _with_etags(seen, etags)

    def _forget(
        self,
        known: Mapping[str, Row],
        registrations: Iterable[Registration],
        last_tick: datetime | None,
    ) -> None:
        """Delete registrations that no version of the file has had for long. What people decided stays."""
        ours = {rows.registration_key(one.name, one.source_key) for one in registrations}
        gone = [
            Delete(row.key, row.etag)
            for row in known.values()
            if row.key not in ours
            and _is_absent(
                rows.read_instant_or_none(row.values.get("seen_at")), FORGOTTEN_AFTER, last_tick
            )
        ]
        if gone:
            try:
                self._table.transact(gone[:MAX_OPERATIONS])
            except RowConflict:
                return  # another instance is doing it, or one of them has come back
            except TableUnavailable as error:
                raise unavailable(error) from error

    def _register_or_error(self, registration: Registration) -> TriggerState:
        try:
            state, _ = self._register(registration)
        except TriggerUnreadable as error:
            state = unreadable_state(registration, str(error), None)
            _log_unreadable(state)
        return state

    def _change(self, change: Operation) -> None:
        try:
            self._table.transact([change])
        except RowConflict:
            return  # another instance's watermark, or a new registration: both are newer than what this one knows
        except TableUnavailable as error:
            raise unavailable(error) from error

    def _remember(self, states: Iterable[TriggerState]) -> Mapping[str, TriggerState]:
        read_at = self._monotonic()
        found = {state.name: state for state in states}
        with self._lock:
            self._cache |= {
                name: (read_at, state) for name, state in found.items() if state.error is None
            }
        return found


def _state_or_error(registration: Registration, known: Mapping[str, Row]) -> TriggerState:
    row = known.get(rows.registration_key(registration.name, registration.source_key))
    try:
        return decode_state(registration, row, known.get(rows.trigger_key(registration.name)))
    except TriggerUnreadable as error:
        return unreadable_state(registration, str(error), row)


def _registered_anew(state: TriggerState, registration: Registration) -> TriggerState:
    """Return a registered state as a registration makes it now. What a person decided stays."""
    fresh = new_state(registration)
    return replace(
        state,
        registered_at=fresh.registered_at,
        seen_at=fresh.seen_at,
        cutoff=fresh.cutoff,
        watermark=fresh.watermark,
        catch_up_from=None,
    )


def _is_absent(seen_at: datetime | None, span: timedelta, last_tick: datetime | None) -> bool:
    """Return whether the ticks went on for a span without a registration. While none ticks, nothing is absent."""
    return seen_at is not None and last_tick is not None and last_tick - seen_at > span


def _key(state: TriggerState) -> str:
    return rows.registration_key(state.name, state.source_key)


def _registration(state: TriggerState) -> Operation:
    values = encode_registration(state)
    if state.is_registered:
        return Merge(_key(state), values, state.etag)
    return Insert(_key(state), values)


def _watermark(own: OwnWatermark | None, state: TriggerState) -> Merge:
    return Merge(_key(state), encode_watermark(own), None if own else state.etag)


def _with_etags(states: Iterable[TriggerState], etags: Iterable[str]) -> list[TriggerState]:
    return [replace(state, etag=etag) for state, etag in zip(states, etags, strict=True)]


def _batches[T](items: list[T]) -> Iterable[list[T]]:
    for first in range(0, len(items), MAX_OPERATIONS):
        yield items[first : first + MAX_OPERATIONS]


def _log_unreadable(state: TriggerState) -> None:
    log_decision(
        logger,
        Action.TRIGGER_UNREADABLE,
        f"trigger {state.name} is left out: {state.error}",
        {"trigger": state.name},
        level=logging.ERROR,
    )
