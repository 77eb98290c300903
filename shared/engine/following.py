"""Follow started runs to their end: how each stands is asked after 1 minute, then less and less often."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from shared.clients.workspace import Workspace
from shared.config.model import Config
from shared.core.errors import WorkspaceUnavailable
from shared.core.runs import RunGone
from shared.core.submissions import State, Submission
from shared.core.transitions import hold, poll_later, record_poll
from shared.engine.send import log_moved, moved_away
from shared.ledger.ledger import Ledger


class Polling:
    """Asks how runs stand.

    Args:
        config: Today's file: the only source of endpoints.
        ledger: Where it is recorded.
        workspace: Whom to ask.
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

    def poll(self, submission: Submission) -> Submission:
        """Ask how a `submitted` submission's run stands, and record it.

        A workspace that does not answer is asked again later; a run that it does not know is held.

        Raises:
            LedgerUnavailable: It is not recorded; the next tick asks again.
        """
        change = self._learn(submission)

        def once(row: Submission) -> Submission:
            moved_on = row.state is not State.SUBMITTED or row.due != submission.due
            return row if moved_on else change(row)

        after = self._ledger.update(submission, once)
        if after.state is not State.SUBMITTED:
            log_moved(after)
        return after

    def _learn(self, submission: Submission) -> Callable[[Submission], Submission]:
        now = self._clock()
        pipeline = self._config.pipelines.get(submission.pipeline)
        away = moved_away(submission, pipeline)
        if pipeline is None or away is not None or submission.run_id is None:
            return lambda row: hold(row, f"its run cannot be followed: {away}", now=now)
        try:
            run = self._workspace.status(pipeline, submission.run_id)
        except RunGone as error:
            reason = f"its run cannot be followed: {error}"
            return lambda row: hold(row, reason, now=now)
        except WorkspaceUnavailable:
            return partial(poll_later, now=now)  # the transport has logged the call
        return lambda row: record_poll(row, run, now=now)
