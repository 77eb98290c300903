"""The `tick` row: how far the ticks came, and what the last one counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.core.times import print_instant
from shared.ledger import rows
from shared.ledger.table.protocol import Row, Value


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """How far the ticks came.

    Attributes:
        evaluated_until: Every occurrence up to here has been claimed; None before the first tick.
        last: When the last tick ended.
        walked_to: Where the repair walk goes on; empty at the start of a round.
        dead: How many submissions were `dead` then; None when no tick has counted yet.
        held: How many were `held`.
    """

    watermark: datetime | None = None
    last: datetime | None = None
    walked_to: str = ""
    dead: int | None = None
    held: int | None = None


def encode_tick(tick: Tick) -> dict[str, Value]:
    """Return the properties of the row."""
    values: dict[str, Value] = {
        "schema": rows.SCHEMA,
        "watermark": print_instant(tick.watermark) if tick.watermark else "",
        "last": print_instant(tick.last) if tick.last else "",
        "walked_to": tick.walked_to,
    }
    if tick.dead is not None and tick.held is not None:
        values |= {"dead": tick.dead, "held": tick.held}
    return values


def decode_tick(row: Row | None) -> Tick:
    """Read the row; before the first tick there is none."""
    if row is None:
        return Tick()
    return Tick(
        watermark=rows.read_instant_or_none(row.values.get("watermark")),
        last=rows.read_instant_or_none(row.values.get("last")),
        walked_to=str(row.values.get("walked_to") or ""),
        dead=_count(row.values.get("dead")),
        held=_count(row.values.get("held")),
    )


def _count(value: Value | None) -> int | None:
    return value if isinstance(value, int) else None
