"""The ledger's rules: who wins a claim, and how a submission moves on.

Every write carries a fresh random token. A transaction that failed may have been carried out all the same, or may
have met its own first attempt; so the row is read back, and the write counts as ours only with exactly that token.
Nothing that this object keeps in memory matters for correctness.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.core.errors import LedgerError
from shared.core.submissions import OPEN, State, Submission
from shared.core.trigger_state import Registration, TriggerState
from shared.ledger import rows
from shared.ledger.table.guarded import WRITE_TRIES, GuardedTable, unavailable
from shared.ledger.table.protocol import (
    MAX_OPERATIONS,
    Delete,
    Insert,
    Merge,
    Operation,
    Page,
    RowConflict,
    Table,
    TableUnavailable,
    Value,
)
from shared.ledger.tick import Tick, decode_tick, encode_tick
from shared.ledger.triggers import TriggerRows

MAX_COUNT_PAGES = 10
"""Pages of 1,000 that a count reads at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """The answer to a claim.

    Attributes:
        won: Whether this caller, and nobody else, must send it.
        submission: As the ledger has it: ours, or the one that was there before.
    """

    won: bool
    submission: Submission


class Ledger:
    """Submissions and triggers' state in one table.

    Args:
        table: Where the rows are.
        monotonic: Seconds, for the age of what is cached.
    """

    def __init__(self, table: Table, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._table = GuardedTable(table)
        self._sightings = TriggerRows(self._table, monotonic=monotonic)

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
                etags = self._table.transact(operations)
            except (RowConflict, TableUnavailable) as error:
                failure: Exception = error
            else:
                return Claim(won=True, submission=_written(submission, etags[0]))
            row = self._table.get(key)
            if row is not None:
                found = rows.decode_submission(row)
                return Claim(won=row.values.get("token") == token, submission=found)
        raise unavailable(failure)

    def record_all(self, submissions: Sequence[Submission]) -> None:
        """Record many submissions that need nothing more, unless their events are recorded already.

        Fifty go in one transaction; where one of those is there already, they go one by one.

        Raises:
            LedgerUnavailable: Some may not be recorded; record them all again.
        """
        at_once = MAX_OPERATIONS // 2
        for first in range(0, len(submissions), at_once):
            batch = submissions[first : first + at_once]
            operations = [
                operation
                for submission in batch
                for operation in _claim_operations(submission, _new_token())
            ]
            try:
                self._table.transact(operations)
            except (RowConflict, TableUnavailable):
                for submission in batch:
                    self.claim(submission)

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
        return self._write(submission, change, retry=True) or submission

    def take(
        self, submission: Submission, change: Callable[[Submission], Submission]
    ) -> Submission | None:
        """Move a submission on if it is still as it was seen; of several callers exactly one succeeds.

        Returns:
            The submission as this caller changed it; None when somebody else changed it first.

        Raises:
            LedgerUnavailable: Nobody knows whether this caller succeeded; it must act as if it had not.
        """
        return self._write(submission, change, retry=False)

    def _write(
        self,
        submission: Submission,
        change: Callable[[Submission], Submission],
        *,
        retry: bool,
    ) -> Submission | None:
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
            operations = _update_operations(current, after, token)
            try:
                etags = self._table.transact(operations)
            except (RowConflict, TableUnavailable) as error:
                failure = error
            else:
                return _written(after, etags[0])
            row = self._table.get(key)
            if row is None:
                raise unavailable(failure)
            if row.values.get("token") in tokens:
                return rows.decode_submission(row)
            unchanged = row.etag == current.etag
            if not unchanged and not retry:
                return None
            current = rows.decode_submission(row)
            if unchanged and isinstance(failure, RowConflict):
                self._mend(operations)
        raise unavailable(failure)

    def get(self, submission_id: str) -> Submission | None:
        """Return a submission, or None when there is none with that id.

        Raises:
            LedgerUnavailable: The table did not answer.
            LedgerError: The row cannot be understood.
        """
        row = self._table.get(rows.submission_key(submission_id))
        return rows.decode_submission(row) if row else None

    # What is due

    def due(self, now: datetime, *, continuation: str | None = None) -> Page:
        """Return a page of the `due:` rows up to now, the longest due first; each names its trigger and state.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        return self._table.page(*rows.due_range(now), continuation=continuation)

    def forget_due(self, key: str) -> None:
        """Remove a `due:` row that belongs to nothing any more: a hand edited the ledger.

        Raises:
            LedgerUnavailable: The table did not answer; the next tick meets it again.
        """
        try:
            self._table.transact([Delete(key)])
        except RowConflict:
            return  # another instance removed it
        except TableUnavailable as error:
            raise unavailable(error) from error

    def hold_unreadable(self, submission_id: str, due_key: str, reason: str) -> None:
        """Hold a submission whose row cannot be understood, without touching what is in it otherwise.

        Raises:
            LedgerUnavailable: The table did not answer; the next tick meets it again.
        """
        held, reason = State.HELD.value, reason[: rows.MAX_MESSAGE]
        closed: dict[str, Value] = {"state": held, "reason": reason, "due": "", "due_key": ""}
        operations: list[Operation] = [
            Merge(rows.submission_key(submission_id), closed),
            Merge(f"attention:{held}:{submission_id}", {"trigger": "", "state": held}),
            Delete(due_key),
        ]
        try:
            self._table.transact(operations)
        except RowConflict:
            return  # another instance held it
        except TableUnavailable as error:
            raise unavailable(error) from error

    def repair(self, walked_to: str, *, now: datetime, limit: int) -> str:
        """Look at some submissions for open ones that no `due:` row leads to any more, and give them one.

        Only what is overdue by a lease is looked at closely: whatever has its row is worked off before that.

        Args:
            walked_to: What the last call returned; empty to begin a round.
            now: The time.
            limit: How many rows to look at.

        Returns:
            Where to go on; empty when the round is complete.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        page = self._table.page("sub:", "sub;", limit=limit, continuation=walked_to or None)
        for row in page.rows:
            try:
                submission = rows.decode_submission(row)
            except LedgerError:
                continue  # whoever needs it meets the error
            if submission.state in OPEN and rows.is_overdue(submission, now):
                key = submission.due_key
                if key is None or self._table.get(key) is None:
                    self._mend_due(submission, now)
        return page.continuation or ""

    # Listings

    def reference_run(self, endpoint_digest: str, experiment: str) -> rows.ReferenceRun | None:
        """Return the newest run that we know of in an experiment, started through an endpoint.

        Raises:
            LedgerUnavailable: The ledger did not answer.
        """
        row = self._table.get(rows.reference_key(endpoint_digest, experiment))
        return rows.decode_reference(row) if row else None

    def log(self, *, limit: int, after: str | None = None) -> Page:
        """Return a page of the `log:` rows, newest first; each carries trigger, state, source, time and run.

        Args:
            limit: At most so many.
            after: The key of the last row that was seen.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        return self._table.page(rows.watermark(after) or "log:", "log;", limit=limit)

    def attention(self, state: State, *, limit: int, after: str | None = None) -> Page:
        """Return a page of the `attention:` rows of `dead` or `held` submissions; arguments as for `log`.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        prefix = f"attention:{state}"
        return self._table.page(rows.watermark(after) or f"{prefix}:", f"{prefix};", limit=limit)

    def count_attention(self) -> tuple[int, int]:
        """Return how many submissions are dead, and how many held: of more than 10,000, those that were counted.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        counts = {State.DEAD: 0, State.HELD: 0}
        continuation: str | None = None
        for _ in range(MAX_COUNT_PAGES):
            page = self._table.page("attention:", "attention;", continuation=continuation)
            for row in page.rows:
                state = row.key.split(":")[1]
                if state in counts:
                    counts[State(state)] += 1
            continuation = page.continuation
            if continuation is None:
                break
        return counts[State.DEAD], counts[State.HELD]

    # Triggers

    def register(self, registration: Registration) -> TriggerState:
        """See `Sightings.see`."""
        return self._sightings.register(registration)

    def register_all(self, registrations: Iterable[Registration]) -> Mapping[str, TriggerState]:
        """See `Sightings.see_all`."""
        return self._sightings.register_all(registrations)

    def read_states(self, registrations: Iterable[Registration]) -> Mapping[str, TriggerState]:
        """See `Sightings.peek`."""
        return self._sightings.read_states(registrations)

    def override(
        self, registration: Registration, change: Callable[[TriggerState], TriggerState]
    ) -> TriggerState:
        """See `Sightings.switch`."""
        return self._sightings.override(registration, change)

    def known(self, name: str) -> TriggerState | None:
        """See `Sightings.known`."""
        return self._sightings.known(name)

    def move_watermarks(
        self, marks: Mapping[str, datetime | None], states: Mapping[str, TriggerState]
    ) -> None:
        """See `Sightings.leave_behind`."""
        self._sightings.move_watermarks(marks, states)

    # The tick

    def tick(self) -> Tick:
        """Return how far the ticks came.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        return decode_tick(self._table.get(rows.TICK_KEY))

    def end_tick(self, tick: Tick) -> None:
        """Record how far a tick came.

        Raises:
            LedgerUnavailable: The next tick evaluates the same occurrences again, which starts nothing twice.
        """
        try:
            self._table.transact([Merge(rows.TICK_KEY, encode_tick(tick))])
        except TableUnavailable as error:
            raise unavailable(error) from error

    # Mending

    def _mend(self, operations: Iterable[Operation]) -> None:
        """Make the rows that an update wants to delete, where somebody removed them: it would fail for ever."""
        missing = [
            operation.key
            for operation in operations
            if isinstance(operation, Delete) and self._table.get(operation.key) is None
        ]
        self._make([Merge(key, {"mended": True}) for key in missing])

    def _mend_due(self, submission: Submission, now: datetime) -> None:
        """Give an open submission the `due:` row that it has lost."""
        key = submission.due_key
        if key is not None:
            self._make([Merge(key, _index(submission))])
        else:
            self.update(submission, lambda row: replace(row, due=now) if row.due is None else row)

    def _make(self, operations: list[Operation]) -> None:
        if operations:
            try:
                self._table.transact(operations)
            except (RowConflict, TableUnavailable) as error:
                raise unavailable(error) from error


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
    if after.run_id is not None and after.run_id != before.run_id:
        key = rows.reference_key(after.endpoint_digest, after.experiment)
        operations.append(Merge(key, rows.encode_reference(after)))
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


def _new_token() -> str:
    return secrets.token_hex(16)
