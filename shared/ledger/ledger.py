"""The ledger's rules: who wins a claim, how a submission moves on, when a trigger was first seen.

Every write carries a fresh random token. A transaction that failed may have been carried out all the same, or may
have met its own first attempt; so the row is read back, and the write counts as ours only with exactly that token.
Nothing that this object keeps in memory matters for correctness: the cache of triggers only saves reads.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.errors import LedgerUnavailable
from shared.events import print_instant, read_instant
from shared.ledger import rows
from shared.ledger.table import (
    MAX_OPERATIONS,
    Delete,
    Insert,
    Merge,
    Operation,
    Row,
    RowConflict,
    RowRefused,
    Table,
    TableUnavailable,
    Value,
)
from shared.submissions import Submission

WRITE_TRIES = 6
"""How often one write is tried before the ledger counts as unavailable; the client retries below that on its own."""

TRIGGER_CACHE = timedelta(seconds=30)
GRACE = timedelta(minutes=15)
"""How far before its first sight a trigger's floor lies: the upload that woke a sleeping app must count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The answer to a claim.

    Attributes:
        won: Whether this caller, and nobody else, must send it.
        submission: As the ledger has it: ours, or the one that was there before.
    """

    won: bool
    submission: Submission


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
    """A trigger as today's file has it, for `Ledger.see`.

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """How far the ticks came.

    Attributes:
        evaluated_until: Every occurrence up to here has been claimed; None before the first tick.
        last: When the last tick ended.
    """

    evaluated_until: datetime | None = None
    last: datetime | None = None


class Ledger:
    """Submissions and triggers' state in one table.

    Args:
        table: Where the rows are.
        monotonic: Seconds, for the age of what is cached.
    """

    def __init__(self, table: Table, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._table = table
        self._monotonic = monotonic
        self._seen: dict[str, tuple[float, TriggerState]] = {}
        self._lock = threading.Lock()

    # Submissions

    def claim(self, submission: Submission) -> Claim:
        """Record a submission unless its event is recorded already; exactly one caller wins.

        Raises:
            LedgerUnavailable: Nothing can be promised. The event may be recorded; deliver it again to know.
        """
        token = _new_token()
        operations = _claim_operations(submission, token)
        key = rows.submission_key(submission.id)
        for _ in range(WRITE_TRIES):
            try:
                etags = self._transact(operations)
            except (RowConflict, TableUnavailable) as error:
                failure: Exception = error
            else:
                return Claim(won=True, submission=_written(submission, etags[0]))
            row = self._get(key)
            if row is not None:
                found = rows.decode_submission(row)
                return Claim(won=row.values.get("token") == token, submission=found)
        raise _unavailable(failure)

    def update(
        self, submission: Submission, change: Callable[[Submission], Submission]
    ) -> Submission:
        """Move a submission on.

        Args:
            submission: As it was last seen; when the row has changed since, `change` is applied to what is there.
            change: Says what the submission becomes. It may be called several times, and must change nothing when
                what it does was done already.

        Raises:
            LedgerUnavailable: The change may not be recorded.
        """
        key = rows.submission_key(submission.id)
        tokens: set[str] = set()
        current = submission
        failure: Exception | None = None
        for _ in range(WRITE_TRIES):
            after = change(current)
            if after == current:
                return current
            token = _new_token()
            tokens.add(token)
            try:
                etags = self._transact(_update_operations(current, after, token))
            except (RowConflict, TableUnavailable) as error:
                failure = error
            else:
                return _written(after, etags[0])
            row = self._get(key)
            if row is None:
                raise _unavailable(failure)
            if row.values.get("token") in tokens:
                return rows.decode_submission(row)
            unchanged = row.etag == current.etag
            current = rows.decode_submission(row)
            if unchanged and isinstance(failure, RowConflict):
                self._mend(_update_operations(current, after, token))
        raise _unavailable(failure)

    def get(self, submission_id: str) -> Submission | None:
        """Return a submission, or None when there is none with that id.

        Raises:
            LedgerUnavailable: The table did not answer.
            LedgerError: The row cannot be understood.
        """
        row = self._get(rows.submission_key(submission_id))
        return rows.decode_submission(row) if row else None

    # Triggers

    def see(self, sighting: Sighting) -> TriggerState:
        """Return what is known of a trigger; its first sight is recorded. Cached for 30 seconds.

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
        known = {row.key: row for row in self._range(*rows.TRIGGERS)}
        states: list[TriggerState] = []
        unseen: list[Sighting] = []
        for sighting in sightings:
            row = known.get(rows.trigger_key(sighting.name))
            if row is not None and row.values.get("place") == sighting.place:
                states.append(_decode_trigger(row))
            else:
                unseen.append(sighting)
        for first in range(0, len(unseen), MAX_OPERATIONS):
            batch = unseen[first : first + MAX_OPERATIONS]
            new = [_first_sight(found, known.get(rows.trigger_key(found.name))) for found in batch]
            try:
                self._transact([_record(state, known) for state in new])
                states += new
            except (RowConflict, TableUnavailable):
                # Another instance saw one of them first, or the answer was lost: one by one, what is there decides.
                states += [self._see(sighting) for sighting in batch]
        return self._remember(states)

    def _see(self, sighting: Sighting) -> TriggerState:
        failure: Exception | None = None
        for _ in range(WRITE_TRIES):
            row = self._get(rows.trigger_key(sighting.name))
            if row is not None and row.values.get("place") == sighting.place:
                return _decode_trigger(row)
            state = _first_sight(sighting, row)
            try:
                self._transact([_record(state, {row.key: row} if row else {})])
            except (RowConflict, TableUnavailable) as error:
                failure = error
            else:
                return state
        raise _unavailable(failure)

    def _remember(self, states: Iterable[TriggerState]) -> Mapping[str, TriggerState]:
        read_at = self._monotonic()
        found = {state.name: state for state in states}
        with self._lock:
            self._seen |= {name: (read_at, state) for name, state in found.items()}
        return found

    # The tick

    def tick(self) -> Tick:
        """Return how far the ticks came.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        row = self._get(rows.TICK_KEY)
        if row is None:
            return Tick()
        return Tick(
            evaluated_until=_instant(row.values.get("evaluated_until")),
            last=_instant(row.values.get("last")),
        )

    def end_tick(self, tick: Tick) -> None:
        """Record how far a tick came.

        Raises:
            LedgerUnavailable: The next tick evaluates the same occurrences again, which starts nothing twice.
        """
        values: dict[str, Value] = {
            "schema": rows.SCHEMA,
            "evaluated_until": print_instant(tick.evaluated_until) if tick.evaluated_until else "",
            "last": print_instant(tick.last) if tick.last else "",
        }
        try:
            self._transact([Merge(rows.TICK_KEY, values)])
        except TableUnavailable as error:
            raise _unavailable(error) from error

    # The table

    def _mend(self, operations: Iterable[Operation]) -> None:
        """Make the rows that an update wants to delete, where somebody removed them: it would fail for ever."""
        missing = [
            operation.key
            for operation in operations
            if isinstance(operation, Delete) and self._get(operation.key) is None
        ]
        if missing:
            try:
                self._transact([Merge(key, {"mended": True}) for key in missing])
            except (RowConflict, TableUnavailable) as error:
                raise _unavailable(error) from error

    def _transact(self, operations: list[Operation]) -> list[str]:
        try:
            return list(self._table.transact(operations))
        except RowRefused as error:
            raise _unavailable(error) from error

    def _get(self, key: str) -> Row | None:
        try:
            return self._table.get(key)
        except TableUnavailable as error:
            raise _unavailable(error) from error

    def _range(self, start: str, end: str) -> Iterable[Row]:
        continuation: str | None = None
        while True:
            try:
                page = self._table.page(start, end, continuation=continuation)
            except TableUnavailable as error:
                raise _unavailable(error) from error
            yield from page.rows
            continuation = page.continuation
            if continuation is None:
                return


def _claim_operations(submission: Submission, token: str) -> list[Operation]:
    operations: list[Operation] = [
        Insert(rows.submission_key(submission.id), rows.encode_submission(submission, token=token)),
        Merge(rows.log_key(submission), rows.encode_log(submission)),
    ]
    if submission.due is not None:
        operations.append(Merge(rows.due_key(submission.due, submission.id), _index(submission)))
    attention = rows.attention_key(submission)
    if attention is not None:
        operations.append(Merge(attention, _index(submission)))
    return operations


def _update_operations(before: Submission, after: Submission, token: str) -> list[Operation]:
    operations: list[Operation] = [
        Merge(
            rows.submission_key(after.id),
            rows.encode_submission(after, token=token),
            before.etag,
        )
    ]
    if rows.encode_log(before) != rows.encode_log(after):
        operations.append(Merge(rows.log_key(after), rows.encode_log(after)))
    old = {before.due_key, rows.attention_key(before)} - {None}
    new = {rows.due_key(after.due, after.id) if after.due else None, rows.attention_key(after)}
    operations += [Delete(key) for key in sorted(old - new, key=str) if key is not None]
    operations += [
        Merge(key, _index(after)) for key in sorted(new - {None} - old, key=str) if key is not None
    ]
    return operations


def _index(submission: Submission) -> dict[str, Value]:
    return {"trigger": submission.trigger, "state": submission.state.value}


def _written(submission: Submission, etag: str) -> Submission:
    due_key = rows.due_key(submission.due, submission.id) if submission.due else None
    return replace(submission, etag=etag, due_key=due_key)


def _first_sight(sighting: Sighting, row: Row | None) -> TriggerState:
    enabled = _decode_trigger(row).enabled if row else None
    return TriggerState(
        name=sighting.name,
        place=sighting.place,
        first_seen=sighting.time,
        floor=sighting.floor,
        enabled=enabled,
    )


def _record(state: TriggerState, known: Mapping[str, Row]) -> Operation:
    key = rows.trigger_key(state.name)
    if key in known:
        return Merge(key, _encode_trigger(state), known[key].etag)
    return Insert(key, _encode_trigger(state))


def _encode_trigger(state: TriggerState) -> dict[str, Value]:
    return {
        "schema": rows.SCHEMA,
        "place": state.place,
        "first_seen": print_instant(state.first_seen),
        "floor": print_instant(state.floor) if state.floor else "",
        "enabled": "" if state.enabled is None else str(state.enabled).lower(),
    }


def _decode_trigger(row: Row) -> TriggerState:
    enabled = str(row.values.get("enabled") or "")
    return TriggerState(
        name=row.key.removeprefix("trigger:"),
        place=str(row.values["place"]),
        first_seen=read_instant(str(row.values["first_seen"])),
        floor=_instant(row.values.get("floor")),
        enabled={"true": True, "false": False}.get(enabled),
    )


def _instant(value: object) -> datetime | None:
    return read_instant(value) if isinstance(value, str) and value else None


def _new_token() -> str:
    return secrets.token_hex(16)


def _unavailable(error: Exception | None) -> LedgerUnavailable:
    return LedgerUnavailable(f"the ledger did not answer as it must: {error}")
