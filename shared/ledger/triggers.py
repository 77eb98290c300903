"""The rows of triggers: registration, cutoff, watermark and override.

Each process caches what it knows for 30 seconds. The cache only saves reads.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeGuard

from shared.core.errors import LedgerError
from shared.core.telemetry import Action, log_decision
from shared.core.times import print_instant, read_instant
from shared.core.trigger_state import Registration, TriggerState
from shared.ledger import rows
from shared.ledger.table.guarded import WRITE_TRIES, GuardedTable, unavailable
from shared.ledger.table.protocol import (
    MAX_OPERATIONS,
    Insert,
    Merge,
    Operation,
    Row,
    RowConflict,
    TableUnavailable,
    Value,
)

logger = logging.getLogger(__name__)

TRIGGER_CACHE = timedelta(seconds=30)


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

    def register(self, registration: Registration) -> TriggerState:
        """Return what is known of a trigger. If it is not registered with this source key, register it.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        with self._lock:
            read_at, known = self._cache.get(registration.name, (0.0, None))
        fresh = self._monotonic() - read_at < TRIGGER_CACHE.total_seconds()
        if known is not None and known.source_key == registration.source_key and fresh:
            return known
        return self._remember([self._register(registration)])[registration.name]

    def register_all(self, registrations: Iterable[Registration]) -> Mapping[str, TriggerState]:
        """Do what `register` does for many triggers, past the cache: one query, and one write for 100 new ones.

        A trigger whose row cannot be read is left out and logged. The others go on.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        known = self._known()
        states: list[TriggerState] = []
        new: list[Registration] = []
        for registration in registrations:
            row = known.get(rows.trigger_key(registration.name))
            if row is None or not _is_registered(row, registration):
                new.append(registration)
                continue
            try:
                states.append(_decode(row))
            except LedgerError as error:
                log_decision(
                    logger,
                    Action.TRIGGER_UNREADABLE,
                    f"trigger {registration.name} is left out: {error}",
                    {"trigger": registration.name},
                    level=logging.ERROR,
                )
        for first in range(0, len(new), MAX_OPERATIONS):
            batch = new[first : first + MAX_OPERATIONS]
            made = [_new_state(one, known.get(rows.trigger_key(one.name))) for one in batch]
            try:
                etags = self._table.transact([_record(state, known) for state in made])
                states += map(_written, made, etags)
            except (RowConflict, TableUnavailable):
                # Another instance registered one of them first, or the answer was lost. One by one, the row decides.
                states += [self._register(registration) for registration in batch]
        return self._remember(states)

    def read_states(self, registrations: Iterable[Registration]) -> Mapping[str, TriggerState]:
        """Return what is known of many triggers, or what a registration would record. Nothing is recorded.

        Raises:
            LedgerUnavailable: The table did not answer.
            LedgerError: A row cannot be read.
        """
        known = self._known()
        states: dict[str, TriggerState] = {}
        for registration in registrations:
            row = known.get(rows.trigger_key(registration.name))
            if _is_registered(row, registration):
                states[registration.name] = _decode(row)
            else:
                states[registration.name] = _new_state(registration, row)
        return states

    def get(self, name: str) -> TriggerState | None:
        """Return what is recorded of a trigger, past the cache, or None. Nothing is recorded.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        row = self._table.get(rows.trigger_key(name))
        return _decode(row) if row is not None and "source_key" in row.values else None

    def override(
        self, registration: Registration, change: Callable[[TriggerState], TriggerState]
    ) -> TriggerState:
        """Record that a person enabled or disabled a trigger. If it is not registered yet, register it too.

        Args:
            registration: The trigger as today's file has it.
            change: Returns what its state becomes. It must change nothing if its effect is there already.

        Raises:
            LedgerUnavailable: It may not be recorded.
        """
        failure: Exception | None = None
        for _ in range(WRITE_TRIES):
            before = self._register(registration)
            row = self._table.get(rows.trigger_key(registration.name))
            if row is None or row.values.get("source_key") != before.source_key:
                continue  # the row was removed, or another version of the file is at work
            before = _decode(row)
            after = change(before)
            if after == before:
                return self._remember([before])[before.name]
            try:
                etags = self._table.transact([Merge(row.key, _encode(after), row.etag)])
            except (RowConflict, TableUnavailable) as error:
                failure = error
            else:
                return self._remember([_written(after, etags[0])])[after.name]
        raise unavailable(failure)

    def move_watermarks(
        self, watermarks: Mapping[str, datetime | None], states: Mapping[str, TriggerState]
    ) -> None:
        """Record the own watermarks of triggers that are behind the common one, or that they have none any more.

        A watermark says that everything up to it is recorded. Any instance's is true, so it is written in any case.
        That nothing is left (None) is true for what this instance saw. So it is written only if the row has not
        changed since: another instance may just have set a watermark.

        Raises:
            LedgerUnavailable: Some are not recorded. Do not move the common watermark.
        """
        changes = [_watermark(name, time, states[name]) for name, time in watermarks.items()]
        for first in range(0, len(changes), MAX_OPERATIONS):
            batch = changes[first : first + MAX_OPERATIONS]
            try:
                self._table.transact(batch)
            except (RowConflict, TableUnavailable):
                for change in batch:
                    self._change(change)

    def _known(self) -> Mapping[str, Row]:
        return {row.key: row for row in self._table.range(*rows.TRIGGERS)}

    def _register(self, registration: Registration) -> TriggerState:
        failure: Exception | None = None
        for _ in range(WRITE_TRIES):
            row = self._table.get(rows.trigger_key(registration.name))
            if _is_registered(row, registration):
                return _decode(row)
            state = _new_state(registration, row)
            try:
                etags = self._table.transact([_record(state, {row.key: row} if row else {})])
            except (RowConflict, TableUnavailable) as error:
                failure = error
            else:
                return _written(state, etags[0])
        raise unavailable(failure)

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
            self._cache |= {name: (read_at, state) for name, state in found.items()}
        return found


def _is_registered(row: Row | None, registration: Registration) -> TypeGuard[Row]:
    return row is not None and row.values.get("source_key") == registration.source_key


def _new_state(registration: Registration, row: Row | None) -> TriggerState:
    """Return the state after a registration. If there is a row, what a person decided stays."""
    if row is not None and "source_key" in row.values:
        return replace(
            _decode(row),
            source_key=registration.source_key,
            registered_at=registration.time,
            cutoff=registration.cutoff,
            watermark=registration.watermark,
        )
    return TriggerState(
        name=registration.name,
        source_key=registration.source_key,
        registered_at=registration.time,
        cutoff=registration.cutoff,
        watermark=registration.watermark,
    )


def _written(state: TriggerState, etag: str) -> TriggerState:
    return replace(state, etag=etag)


def _watermark(name: str, time: datetime | None, state: TriggerState) -> Merge:
    values: dict[str, Value] = {"watermark": print_instant(time) if time else ""}
    return Merge(rows.trigger_key(name), values, None if time else state.etag)


def _record(state: TriggerState, known: Mapping[str, Row]) -> Operation:
    key = rows.trigger_key(state.name)
    if key in known:
        return Merge(key, _encode(state), known[key].etag)
    return Insert(key, _encode(state))


def _encode(state: TriggerState) -> dict[str, Value]:
    periods = [
        [print_instant(start), rows.print_optional(end)] for start, end in state.disabled_periods
    ]
    return {
        "schema": rows.SCHEMA,
        "source_key": state.source_key,
        "registered_at": print_instant(state.registered_at),
        "cutoff": rows.print_optional(state.cutoff),
        "override": "" if state.enabled is None else str(state.enabled).lower(),
        "overridden_at": rows.print_optional(state.overridden_at),
        "overridden_by": state.overridden_by or "",
        "disabled_periods": json.dumps(periods),
        "enabled_at": rows.print_optional(state.enabled_at),
        "watermark": rows.print_optional(state.watermark),
    }


def _decode(row: Row) -> TriggerState:
    """Read a trigger's row.

    Raises:
        LedgerError: It was edited.
    """
    try:
        return _read(row)
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerError(f"the row {row.key} cannot be read: {error}") from error


def _read(row: Row) -> TriggerState:
    override = str(row.values.get("override") or "")
    return TriggerState(
        name=row.key.removeprefix("trigger:"),
        source_key=str(row.values["source_key"]),
        registered_at=read_instant(str(row.values["registered_at"])),
        cutoff=rows.read_optional(row.values.get("cutoff")),
        enabled={"true": True, "false": False}.get(override),
        overridden_at=rows.read_optional(row.values.get("overridden_at")),
        overridden_by=str(row.values.get("overridden_by") or "") or None,
        disabled_periods=tuple(
            (read_instant(start), rows.read_optional(end))
            for start, end in json.loads(str(row.values.get("disabled_periods") or "[]"))
        ),
        enabled_at=rows.read_optional(row.values.get("enabled_at")),
        watermark=rows.read_optional(row.values.get("watermark")),
        etag=row.etag,
    )
