"""Who wins a claim, and how a submission moves on.

Every write carries a fresh random token. A transaction that failed may have been carried out, or may have met its own
first attempt. So the row is read back, and the write counts as ours only if the row has exactly that token.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from shared.core.runs import ReferenceRun
from shared.core.submissions import State, Submission
from shared.core.transitions import Change
from shared.ledger import rows
from shared.ledger.table.errors import RowConflict, TableUnavailable
from shared.ledger.table.guarded import WRITE_TRIES, GuardedTable, unavailable
from shared.ledger.table.protocol import MAX_OPERATIONS, Delete, Insert, Merge, Operation, Value


class Submissions:
    """The rows of submissions, changed together with their rows in the indexes.

    Args:
        table: Where they are.
        monotonic: Seconds of a monotonic clock, for the age of claims.
    """

    def __init__(self, table: GuardedTable, *, monotonic: Callable[[], float]) -> None:
        self._table = table
        self._monotonic = monotonic

    def get(self, submission_id: str) -> Submission | None:
        """Return a submission, or None if there is none with that id.

        Raises:
            LedgerUnavailable: The table did not answer.
            LedgerError: The row cannot be read.
        """
        row = self._table.get(rows.submission_key(submission_id))
        return rows.decode_submission(row) if row else None

    def claim(self, submission: Submission) -> Submission:
        """Record a submission unless its event is recorded already. Exactly one caller wins.

        Returns:
            The submission as the ledger has it. `claimed_at` is set for the caller that won, and for no other.

        Raises:
            LedgerUnavailable: The event may not be recorded. It must be delivered again.
            LedgerError: The event is recorded, and its row cannot be read.
        """
        token, claimed_at = _new_token(), self._monotonic()
        operations = _claim_operations(submission, token)
        for _ in range(WRITE_TRIES):
            try:
                etags = self._table.transact(operations)
            except (RowConflict, TableUnavailable) as error:
                failure: Exception = error
            else:
                return _written(submission, etags[0], claimed_at)
            row = self._table.get(rows.submission_key(submission.id))
            if row is not None:
                found = rows.decode_submission(row)
                won = row.values.get("token") == token
                return replace(found, claimed_at=claimed_at) if won else found
        raise unavailable(failure)

    def record_all(self, submissions: Sequence[Submission]) -> None:
        """Record many submissions that need nothing more, unless their events are recorded already.

        Fifty go in one transaction. If one of them is there already, they go one by one.

        Raises:
            LedgerUnavailable: Some may not be recorded. Record them all again.
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

    def update(self, submission: Submission, change: Change) -> Submission:
        """Move a submission on.

        Args:
            submission: The submission as it was last seen. If the row has changed since, `change` is applied to the
                row as it is.
            change: Returns what the submission becomes. It may be called several times. It must change nothing if
                its effect is there already.

        Raises:
            LedgerUnavailable: The change may not be recorded.
        """
        return self._write(submission, change, only_as_seen=False) or submission

    def take(self, submission: Submission, change: Change) -> Submission | None:
        """Move a submission on if it is still as it was seen. Of several callers exactly one succeeds.

        Returns:
            The submission as this caller changed it, with `claimed_at`. None if another caller changed it first.

        Raises:
            LedgerUnavailable: It is not known whether this caller succeeded. The caller must act as if it had not.
        """
        claimed_at = self._monotonic()
        taken = self._write(submission, change, only_as_seen=True)
        return replace(taken, claimed_at=claimed_at) if taken is not None else None

    def reference_run(self, endpoint_digest: str, experiment: str) -> ReferenceRun | None:
        """Return the newest known run that an endpoint started in an experiment.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        row = self._table.get(rows.reference_key(endpoint_digest, experiment))
        return rows.decode_reference(row) if row else None

    def workspace_reference_run(self, workspace_digest: str) -> ReferenceRun | None:
        """Return the newest known run of a workspace. None if the workspace is not known.

        Raises:
            LedgerUnavailable: The table did not answer.
        """
        if not workspace_digest:
            return None
        row = self._table.get(rows.workspace_reference_key(workspace_digest))
        return rows.decode_reference(row) if row else None

    def hold_unreadable(self, submission_id: str, due_key: str, reason: str) -> None:
        """Hold a submission whose row cannot be read. Nothing else in the row changes.

        Raises:
            LedgerUnavailable: The table did not answer. The next tick meets the row again.
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

    def _write(
        self, submission: Submission, change: Change, *, only_as_seen: bool
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
            operations += self._reference_operations(current, after)
            try:
                etags = self._table.transact(operations)
            except (RowConflict, TableUnavailable) as error:
                failure = error
            else:
                return _written(after, etags[0], None)
            row = self._table.get(key)
            if row is None:
                raise unavailable(failure)
            if row.values.get("token") in tokens:
                return rows.decode_submission(row)
            unchanged = row.etag == current.etag
            if not unchanged and only_as_seen:
                return None
            current = rows.decode_submission(row)
            if unchanged and isinstance(failure, RowConflict):
                self._restore_missing(operations)
        raise unavailable(failure)

    def _reference_operations(self, before: Submission, after: Submission) -> list[Operation]:
        """Return the operations that name a run, which has just become known, as the newest one.

        A run that was created under the lease that the row still has is new. That costs no read. Any other run, such as
        one that a search found late, may be older than the reference run, which it must not replace.
        """
        created = after.run_created
        if after.run_id is None or after.run_id == before.run_id or created is None:
            return []
        reference, keys = rows.encode_reference(after), rows.reference_keys(after)
        leased = before.lease_start
        if leased is not None and created >= leased:
            return [Merge(key, reference) for key in keys]
        operations: list[Operation] = []
        for key in keys:
            row = self._table.get(key)
            known = rows.decode_reference(row) if row else None
            if row is None:
                operations.append(Insert(key, reference))
            elif known is None or known.started < created:
                operations.append(Merge(key, reference, row.etag))
        return operations

    def _restore_missing(self, operations: Iterable[Operation]) -> None:
        """Make the rows that an update wants to delete, if they are missing. Else the update would always fail."""
        missing = [
            operation.key
            for operation in operations
            if isinstance(operation, Delete) and self._table.get(operation.key) is None
        ]
        self._table.make([Merge(key, {"restored": True}) for key in missing])


def _claim_operations(submission: Submission, token: str) -> list[Operation]:
    operations: list[Operation] = [
        Insert(rows.submission_key(submission.id), rows.encode_submission(submission, token=token)),
        Merge(rows.log_key(submission), rows.encode_log(submission)),
    ]
    if submission.due is not None:
        key = rows.due_key(submission.due, submission.id)
        operations.append(Merge(key, rows.encode_index(submission)))
    attention = rows.attention_key(submission)
    if attention is not None:
        operations.append(Merge(attention, rows.encode_index(submission)))
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
        Merge(key, rows.encode_index(after))
        for key in sorted(new - {None} - old, key=str)
        if key is not None
    ]
    return operations


def _written(submission: Submission, etag: str, claimed_at: float | None) -> Submission:
    due_key = rows.due_key(submission.due, submission.id) if submission.due else None
    return replace(submission, etag=etag, due_key=due_key, claimed_at=claimed_at)


def _new_token() -> str:
    return secrets.token_hex(16)
