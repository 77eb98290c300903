"""What the rows of triggers look like.

A trigger has a row for what a person decided, and one for its registration with each source key. So two versions of
the triggers file that are at work at once do not register each other's triggers again and again.
"""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

from shared.core.errors import TriggerUnreadable
from shared.core.times import print_instant, read_instant
from shared.core.trigger_state import OwnWatermark, Registration, TriggerState
from shared.ledger import rows
from shared.ledger.table.protocol import Row, Value

FIRST_YEAR, LAST_YEAR = 1900, 9000
"""Of instants from which schedules are calculated. Beyond them, sums of times leave the calendar."""


def encode_registration(state: TriggerState) -> dict[str, Value]:
    """Return the properties of the row of a registration."""
    return {
        "schema": rows.SCHEMA,
        "source_key": state.source_key,
        "registered_at": print_instant(state.registered_at),
        "seen_at": print_instant(state.seen_at),
        "cutoff": rows.print_optional(state.cutoff),
        **encode_watermark(state.own_watermark),
    }


def encode_watermark(own: OwnWatermark | None) -> dict[str, Value]:
    """Return the properties that say where a trigger is that is behind, or that it no longer is."""
    return {
        "watermark": rows.print_optional(own.time if own else None),
        "catch_up_from": rows.print_optional(own.catch_up_from if own else None),
    }


def encode_decision(state: TriggerState) -> dict[str, Value]:
    """Return the properties of the row that holds what a person decided."""
    periods = [
        [print_instant(start), rows.print_optional(end)] for start, end in state.disabled_periods
    ]
    return {
        "schema": rows.SCHEMA,
        "override": "" if state.enabled is None else str(state.enabled).lower(),
        "overridden_at": rows.print_optional(state.overridden_at),
        "overridden_by": state.overridden_by or "",
        "disabled_periods": json.dumps(periods),
        "enabled_at": rows.print_optional(state.enabled_at),
    }


def decode_state(registration: Registration, row: Row | None, decision: Row | None) -> TriggerState:
    """Return what the rows of a trigger say. Without its own row: what a registration would record.

    Args:
        registration: The trigger as the file has it.
        row: The row of its registration with this source key, if there is one.
        decision: The row of what a person decided, if there is one.

    Raises:
        TriggerUnreadable: A row was edited.
    """
    state = new_state(registration)
    if row is not None:
        try:
            state = _read_registration(state, row)
        except rows.UNREADABLE as error:
            raise _unreadable(row, error) from error
    if decision is not None:
        try:
            state = _read_decision(state, decision)
        except rows.UNREADABLE as error:
            raise _unreadable(decision, error) from error
    return state


def new_state(registration: Registration) -> TriggerState:
    """Return the state of a trigger that is registered now, and about which no person decided anything."""
    return TriggerState(
        name=registration.name,
        source_key=registration.source_key,
        registered_at=registration.time,
        seen_at=registration.time,
        cutoff=registration.cutoff,
        watermark=registration.watermark,
    )


def unreadable_state(registration: Registration, error: str, row: Row | None) -> TriggerState:
    """Return the state of a trigger of which a row cannot be read. Its own watermark is kept, if it has one."""
    watermark = None
    if row is not None and row.values.get("watermark"):
        watermark = rows.read_instant_or_none(row.values["watermark"]) or registration.time
    return replace(new_state(registration), watermark=watermark, error=error)


def _read_registration(state: TriggerState, row: Row) -> TriggerState:
    return replace(
        state,
        registered_at=_moment(read_instant(str(row.values["registered_at"]))),
        seen_at=_moment(read_instant(str(row.values["seen_at"]))),
        cutoff=rows.read_optional(row.values.get("cutoff")),
        watermark=_moment(rows.read_optional(row.values.get("watermark"))),
        catch_up_from=_moment(rows.read_optional(row.values.get("catch_up_from"))),
        etag=row.etag,
    )


def _read_decision(state: TriggerState, row: Row) -> TriggerState:
    override = str(row.values.get("override") or "")
    return replace(
        state,
        enabled={"true": True, "false": False}.get(override),
        overridden_at=rows.read_optional(row.values.get("overridden_at")),
        overridden_by=str(row.values.get("overridden_by") or "") or None,
        disabled_periods=tuple(
            (read_instant(start), rows.read_optional(end))
            for start, end in json.loads(str(row.values.get("disabled_periods") or "[]"))
        ),
        enabled_at=_moment(rows.read_optional(row.values.get("enabled_at"))),
    )


def _moment[T: (datetime, datetime | None)](instant: T) -> T:
    """Return an instant with which schedules can calculate.

    Raises:
        ValueError: It is too near to an end of the calendar.
    """
    if instant is not None and not FIRST_YEAR <= instant.year <= LAST_YEAR:
        raise ValueError(f"{print_instant(instant)} is not from {FIRST_YEAR} to {LAST_YEAR}")
    return instant


def _unreadable(row: Row, error: Exception) -> TriggerUnreadable:
    return TriggerUnreadable(f"the row {row.key} cannot be read: {error}")
