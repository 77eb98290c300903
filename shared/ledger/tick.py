"""The `tick` row: how far the ticks came, and what the last one counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.core.times import print_instant
from shared.ledger import rows
from shared.ledger.table.guarded import GuardedTable, unavailable
from shared.ledger.table.protocol import Merge, Row, TableUnavailable, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class TickState:
    """How far the ticks came."""

    watermark: datetime | None = None
    """Every occurrence up to here is recorded, but for triggers with a watermark of their own. None: no tick yet."""
    last: datetime | None = None
    """When the last tick began."""
    repair_position: str = ""
    """Where the repair walk goes on. Empty: at the start of a round."""
    dead: int | None = None
    """How many submissions were `dead` at the last tick. None: not counted yet."""
    held: int | None = None
    """How many submissions were `held`."""


class TickRow:
    """The row that all ticks share.

    Args:
        table: Where it is.
    """

    def __init__(self, table: GuardedTable) -> None:
        self._table = table

    def read(self) -> TickState:
        """Return how far the ticks came.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        return _decode(self._table.get(rows.TICK_KEY))

    def write(self, state: TickState) -> None:
        """Record how far a tick came.

        Raises:
            LedgerUnavailable: The next tick evaluates the same occurrences again, which starts nothing twice.
        """
        try:
            self._table.transact([Merge(rows.TICK_KEY, _encode(state))])
        except TableUnavailable as error:
            raise unavailable(error) from error


def _encode(state: TickState) -> dict[str, Value]:
    values: dict[str, Value] = {
        "schema": rows.SCHEMA,
        "watermark": print_instant(state.watermark) if state.watermark else "",
        "last": print_instant(state.last) if state.last else "",
        "repair_position": state.repair_position,
    }
    if state.dead is not None and state.held is not None:
        values |= {"dead": state.dead, "held": state.held}
    return values


def _decode(row: Row | None) -> TickState:
    if row is None:
        return TickState()
    return TickState(
        watermark=rows.read_instant_or_none(row.values.get("watermark")),
        last=rows.read_instant_or_none(row.values.get("last")),
        repair_position=str(row.values.get("repair_position") or ""),
        dead=_count(row.values.get("dead")),
        held=_count(row.values.get("held")),
    )


def _count(value: Value | None) -> int | None:
    return value if isinstance(value, int) else None
