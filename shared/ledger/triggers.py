"""Triggers' rows: when each was first seen, its floor, and whether a person switched it off.

What is known is cached for 30 seconds by each process; the cache only saves reads.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from shared.core.errors import LedgerError
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
        monotonic: Seconds, for the age of what is cached.
    """

    def __init__(self, table: GuardedTable, *, monotonic: Callable[[], float]) -> None:
        self._table = table
        self._monotonic = monotonic
        self._cache: dict[str, tuple[float, TriggerState]] = {}
        self._lock = threading.Lock()

    def register(self, registration: Registration) -> TriggerState:
        """Return what is known of a trigger; its first sight is recorded.

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
        """Do what `see` does for many triggers, past the cache: one query, and one write for 100 new ones.

        A trigger whose row somebody edited is left out, and logged: the others go on.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        known = {row.key: row for row in self._table.range(*rows.TRIGGERS)}
        states: list[TriggerState] = []
        unregistered: list[Registration] = []
        for registration in registrations:
            row = known.get(rows.trigger_key(registration.name))
            if row is None or row.values.get("source_key") != registration.source_key:
                unregistered.append(registration)
                continue
            try:
                states.append(_decode(row))
            except LedgerError as error:
                logger.error(  # noqa: TRY400 — the error is the row's, and its text says all
                    "trigger %s is left out: %s",
                    registration.name,
                    error,
                    extra={"action": "trigger_unreadable", "trigger": registration.name},
                )
        for first in range(0, len(unregistered), MAX_OPERATIONS):
            batch = unregistered[first : first + MAX_OPERATIONS]
            new = [_new_state(found, known.get(rows.trigger_key(found.name))) for found in batch]
            try:
                etags = self._table.transact([_record(state, known) for state in new])
                states += map(_written, new, etags)
            except (RowConflict, TableUnavailable):
                # Another instance saw one of them first, or the answer was lost: one by one, what is there decides.
                states += [self._register(registration) for registration in batch]
        return self._remember(states)

    def read_states(self, registrations: Iterable[Registration]) -> Mapping[str, TriggerState]:
        """Return what is known of many triggers, or what a first sight would record; nothing is recorded.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        known = {row.key: row for row in self._table.range(*rows.TRIGGERS)}
        states: dict[str, TriggerState] = {}
        for registration in registrations:
            row = known.get(rows.trigger_key(registration.name))
            seen = row is not None and row.values.get("source_key") == registration.source_key
            states[registration.name] = (
                _decode(row) if seen and row is not None else _new_state(registration, row)
            )
        return states

    def override(
        self, registration: Registration, change: Callable[[TriggerState], TriggerState]
    ) -> TriggerState:
        """Record that a person switched a trigger; its first sight too, if this is it.

        Args:
            sighting: The trigger as today's file has it.
            change: Says what its state becomes. It must change nothing when what it does was done already.

        Raises:
            LedgerUnavailable: It may not be recorded.
        """
        failure: Exception | None = None
        for _ in range(WRITE_TRIES):
            before = self._register(registration)
            row = self._table.get(rows.trigger_key(registration.name))
            if row is None or row.values.get("source_key") != before.source_key:
                continue  # somebody removed it, or another version of the file is at work
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

    def _register(self, registration: Registration) -> TriggerState:
        failure: Exception | None = None
        for _ in range(WRITE_TRIES):
            row = self._table.get(rows.trigger_key(registration.name))
            if row is not None and row.values.get("source_key") == registration.source_key:
                return _decode(row)
            state = _new_state(registration, row)
            try:
                etags = self._table.transact([_record(state, {row.key: row} if row else {})])
            except (RowConflict, TableUnavailable) as error:
                failure = error
            else:
                return _written(state, etags[0])
        raise unavailable(failure)

    def known(self, name: str) -> TriggerState | None:
        """Return what is recorded of a trigger, past the cache, or None; nothing is written.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        row = self._table.get(rows.trigger_key(name))
        return _decode(row) if row is not None and "source_key" in row.values else None

    def move_watermarks(
        self, watermarks: Mapping[str, datetime | None], states: Mapping[str, TriggerState]
    ) -> None:
        """Record how far triggers came that are behind the ticks (an instant), or that they are not any more (None).

        A mark says that everything up to it is recorded, so any instance's is true, and it is written in any case.
        That nothing is left is true for what this instance saw, so it is written only if the row is still as it was
        read: else another instance may just have left something behind.

        Raises:
            LedgerUnavailable: Some are not recorded; do not move `evaluated_until`.
        """
        changes = [_mark(name, watermark, states[name]) for name, watermark in watermarks.items()]
        for first in range(0, len(changes), MAX_OPERATIONS):
            batch = changes[first : first + MAX_OPERATIONS]
            try:
                self._table.transact(batch)
            except (RowConflict, TableUnavailable):
                for change in batch:
                    self._change(change)

    def _change(self, change: Operation) -> None:
        try:
            self._table.transact([change])
        except RowConflict:
            return  # another instance's mark, or a new first sight: both are newer than what this one knows
        except TableUnavailable as error:
            raise unavailable(error) from error

    def _remember(self, states: Iterable[TriggerState]) -> Mapping[str, TriggerState]:
        read_at = self._monotonic()
        found = {state.name: state for state in states}
        with self._lock:
            self._cache |= {name: (read_at, state) for name, state in found.items()}
        return found


def _new_state(registration: Registration, row: Row | None) -> TriggerState:
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


def _mark(name: str, watermark: datetime | None, state: TriggerState) -> Merge:
    values: dict[str, Value] = {"watermark": print_instant(watermark) if watermark else ""}
    return Merge(rows.trigger_key(name), values, None if watermark else state.etag)


def _record(state: TriggerState, known: Mapping[str, Row]) -> Operation:
    key = rows.trigger_key(state.name)
    if key in known:
        return Merge(key, _encode(state), known[key].etag)
    return Insert(key, _encode(state))


def _encode(state: TriggerState) -> dict[str, Value]:
    return {
        "schema": rows.SCHEMA,
        "source_key": state.source_key,
        "registered_at": print_instant(state.registered_at),
        "cutoff": print_instant(state.cutoff) if state.cutoff else "",
        "override": "" if state.enabled is None else str(state.enabled).lower(),
        "overridden_at": print_instant(state.overridden_at) if state.overridden_at else "",
        "overridden_by": state.overridden_by or "",
        "disabled_periods": json.dumps(
            [
                [print_instant(start), print_instant(end) if end else ""]
                for start, end in state.disabled_periods
            ]
        ),
        "enabled_at": print_instant(state.enabled_at) if state.enabled_at else "",
        "watermark": print_instant(state.watermark) if state.watermark else "",
    }


def _decode(row: Row) -> TriggerState:
    """Read a trigger's row.

    Raises:
        LedgerError: Somebody edited it.
    """
    try:
        return _read(row)
    except (KeyError, TypeError, ValueError) as error:
        raise LedgerError(f"the row {row.key} cannot be read: {error}") from error


def _read(row: Row) -> TriggerState:
    enabled = str(row.values.get("override") or "")
    return TriggerState(
        name=row.key.removeprefix("trigger:"),
        source_key=str(row.values["source_key"]),
        registered_at=read_instant(str(row.values["registered_at"])),
        cutoff=rows.read_optional(row.values.get("cutoff")),
        enabled={"true": True, "false": False}.get(enabled),
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
