"""Search for runs whose answers were lost, and for those of processes that vanished in the middle of a POST."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from shared.clients.workspace import Workspace
from shared.config.model import Config
from shared.core.submissions import State, Submission
from shared.core.transitions import adopt, hold, mark_ambiguous, record_search
from shared.engine.send import log_moved, moved_away
from shared.ledger.ledger import Ledger

VANISHED = (
    "the process that was to send it recorded no outcome: nobody knows whether a run was started"
)


class Searcher:
    """Finds out whether a run was started.

    Args:
        config: Today's file: the only source of endpoints.
        ledger: Where it is recorded.
        workspace: Where to search.
        clock: Says the time; aware.
    """

    def __init__(
        self,
        config: Config,
        *,
        ledger: Ledger,
        workspace: Workspace,
        clock: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._workspace = workspace
        self._clock = clock

    def mark_ambiguous(self, submission: Submission) -> Submission:
        """Record that a `submitting` submission's lease ran out: from here on it is as if its answer was lost.

        Raises:
            LedgerUnavailable: It is not recorded; the next tick does it.
        """
        now, policy = self._clock(), self._config.policy(submission.trigger)

        def once(row: Submission) -> Submission:
            moved_on = row.state is not State.SUBMITTING or row.due != submission.due
            return row if moved_on else mark_ambiguous(row, reason=VANISHED, now=now, policy=policy)

        after = self._ledger.update(submission, once)
        log_moved(after)
        return after

    def search(self, submission: Submission) -> Submission:
        """Look once for an `unknown` submission's run, and record what that means.

        Raises:
            LedgerUnavailable: It is not recorded; the next tick looks again.
        """
        now = self._clock()
        pipeline = self._config.pipelines.get(submission.pipeline)
        away = moved_away(submission, pipeline)
        if pipeline is None or away is not None:
            return self._record(submission, lambda row: hold(row, away, now=now))
        newest = self._ledger.reference_run(submission.endpoint_digest, submission.experiment)
        found = self._workspace.search(
            pipeline,
            experiment=submission.experiment,
            correlation_id=submission.correlation_id,
            reference=newest.correlation_id if newest else None,
        )
        if found.runs:
            after = self._ledger.update(submission, lambda row: adopt(row, found.runs, now=now))
            log_moved(after)
            return after
        saw = newest.started if newest and found.saw_reference else None
        return self._record(submission, lambda row: record_search(row, (), saw=saw, now=now))

    def _record(
        self, submission: Submission, change: Callable[[Submission], Submission]
    ) -> Submission:
        def once(row: Submission) -> Submission:
            moved_on = row.state is not State.UNKNOWN or row.due != submission.due
            return row if moved_on else change(row)

        after = self._ledger.update(submission, once)
        if after.state is not State.UNKNOWN:
            log_moved(after)
        return after
