"""The ticks' rows: how far they came with each version of the file's schedules, and what the last one counted.

During a deployment two versions of the triggers file may be at work. Each has a row with a common watermark of its own,
which says which triggers it covers: a version says nothing about a schedule that it does not have. All rows are read
with one query, and each tick writes two with one transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import batched, count, takewhile

from shared.ledger import rows
from shared.ledger.table.errors import RowConflict, TableUnavailable
from shared.ledger.table.guarded import GuardedTable, unavailable
from shared.ledger.table.protocol import Delete, Merge, Row, Value

PAIR_BYTES = 8
PAIRS_PER_PROPERTY = 64 * 1024 // PAIR_BYTES
"""A binary property holds 64 KiB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionState:
    """How far the ticks came with one version of the file's schedules."""

    pairs: frozenset[bytes]
    """The digests of its schedules, each with its trigger's name (`trigger_state.digest_pair`)."""
    watermark: datetime | None
    """Every occurrence of these up to here is recorded, but for triggers with a watermark of their own."""
    ticked_at: datetime | None
    """When this version last ticked."""
    etag: str = field(default="", compare=False, repr=False)
    """The row's version, or empty if it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TickState:
    """How far the ticks came."""

    last: datetime | None = None
    """When the last tick of any version began."""
    repair_position: str = ""
    """Where the repair walk goes on. Empty: at the start of a round."""
    dead: int | None = None
    """How many submissions were `dead` at the last tick. None: not counted yet."""
    held: int | None = None
    """How many submissions were `held`."""
    versions: Mapping[str, VersionState] = field(default_factory=dict)
    """How far they came with each version."""
    ledger_time: datetime | None = field(default=None, compare=False)
    """The time of the table service when this was read. None: it did not say it."""

    def watermark(self, pair: bytes) -> datetime | None:
        """Return the latest common watermark that covers a schedule of a trigger. None: none does."""
        covering = (
            one.watermark
            for one in self.versions.values()
            if one.watermark is not None and pair in one.pairs
        )
        return max(covering, default=None)


class TickRows:
    """The rows that the ticks share.

    Args:
        table: Where they are.
    """

    def __init__(self, table: GuardedTable) -> None:
        self._table = table

    def read(self) -> TickState:
        """Return how far the ticks came.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        pages = list(self._table.pages(*rows.TICKS))
        found = {row.key: row for page in pages for row in page.rows}
        shared = found.pop(rows.TICK_KEY, None)
        versions = {
            key.removeprefix(rows.version_key("")): _decode_version(row)
            for key, row in found.items()
        }
        return replace(_decode(shared), versions=versions, ledger_time=pages[0].date)

    def write(self, state: TickState, version: VersionState) -> None:
        """Record how far a tick came.

        Args:
            state: What all ticks share. Its versions are not written.
            version: The version of the file that ticked.

        Raises:
            LedgerUnavailable: The next tick evaluates the same occurrences again, which starts nothing twice.
        """
        key = rows.version_key(version_of(version.pairs))
        try:
            self._table.transact(
                [Merge(rows.TICK_KEY, _encode(state)), Merge(key, _encode_version(version))]
            )
        except TableUnavailable as error:
            raise unavailable(error) from error

    def forget(self, versions: Iterable[tuple[str, VersionState]]) -> None:
        """Delete the rows of versions, unless they have ticked since they were read.

        Raises:
            LedgerUnavailable: The table did not answer. The next tick does it.
        """
        for version, state in versions:
            try:
                self._table.transact([Delete(rows.version_key(version), state.etag)])
            except RowConflict:
                continue  # it has just ticked, or another instance has deleted it
            except TableUnavailable as error:
                raise unavailable(error) from error


def version_of(pairs: Iterable[bytes]) -> str:
    """Return the name of the version that has these schedules, whatever their order and whatever else the file says."""
    return hashlib.sha256(b"".join(sorted(pairs))).hexdigest()[:16]


def _encode(state: TickState) -> dict[str, Value]:
    values: dict[str, Value] = {
        "schema": rows.SCHEMA,
        "last": rows.print_optional(state.last),
        "repair_position": state.repair_position,
    }
    if state.dead is not None and state.held is not None:
        values |= {"dead": state.dead, "held": state.held}
    return values


def _decode(row: Row | None) -> TickState:
    values = row.values if row is not None else {}
    return TickState(
        last=rows.read_instant_or_none(values.get("last")),
        repair_position=str(values.get("repair_position") or ""),
        dead=_count(values.get("dead")),
        held=_count(values.get("held")),
    )


def _encode_version(version: VersionState) -> dict[str, Value]:
    parts = batched(sorted(version.pairs), PAIRS_PER_PROPERTY, strict=False)
    return {
        "schema": rows.SCHEMA,
        "watermark": rows.print_optional(version.watermark),
        "ticked_at": rows.print_optional(version.ticked_at),
        **{f"pairs_{number}": b"".join(part) for number, part in enumerate(parts)},
    }


def _decode_version(row: Row) -> VersionState:
    parts = takewhile(
        lambda part: part is not None, (row.values.get(f"pairs_{n}") for n in count())
    )
    data = b"".join(part for part in parts if isinstance(part, bytes))
    return VersionState(
        pairs=frozenset(
            data[first : first + PAIR_BYTES] for first in range(0, len(data), PAIR_BYTES)
        ),
        watermark=rows.read_instant_or_none(row.values.get("watermark")),
        ticked_at=rows.read_instant_or_none(row.values.get("ticked_at")),
        etag=row.etag,
    )


def _count(value: Value | None) -> int | None:
    return value if isinstance(value, int) else None
