"""What people and scripts can do, whoever asks: the entry points, the HTTP API and the command line call these."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.accepting import Accepted, Accepting, BlobNotice, Ignored, build_run_body
from shared.config import Config, Trigger
from shared.errors import NotAllowed, NotFound
from shared.events import Event
from shared.ledger import Ledger, Tick
from shared.people import check_replay, dropped, replayed
from shared.runs import RunGone
from shared.sending import Sending, moved_away
from shared.submissions import ATTENTION, State, Submission, stamp
from shared.workspace_client import Workspace

logger = logging.getLogger(__name__)

MAX_LIST_PAGES = 20
"""Pages that one listing reads at most, when few rows match."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A page of submissions; `cursor` leads to the next, None ends."""

    submissions: tuple[Submission, ...]
    cursor: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """The operations of one app.

    Attributes:
        config: Today's file.
        ledger: The store of submissions.
        accepting: The first verb.
        sending: The second verb.
        workspace: Azure ML, for what people ask of runs.
        clock: Says the time; aware.
    """

    config: Config
    ledger: Ledger
    accepting: Accepting
    sending: Sending
    workspace: Workspace
    clock: Callable[[], datetime]

    def start(self, news: Event | BlobNotice) -> Submission | Ignored:
        """Take an event the whole way: accept, then send.

        Raises:
            Unavailable: The event is not safe: fail, so that it is delivered again.
            RequestError: A request cannot become an event.
        """
        accepted = self.accepting.accept(news)
        return accepted if isinstance(accepted, Ignored) else self.sending.send(accepted)

    def trigger(self, name: str) -> Trigger:
        """Return a trigger of the file.

        Raises:
            NotFound: There is none of that name.
        """
        if name not in self.config.triggers:
            raise NotFound("there is no trigger of that name in the triggers file")
        return self.config.triggers[name]

    def submission(self, submission_id: str) -> Submission:
        """Return a submission, whatever its state.

        Raises:
            NotFound: There is none with that id.
            LedgerUnavailable: The ledger did not answer.
            LedgerError: Its row cannot be understood.
        """
        found = self.ledger.get(submission_id) if submission_id.isalnum() else None
        if found is None:
            raise NotFound("there is no submission with that id")
        return found

    def submissions(
        self,
        *,
        trigger: str | None = None,
        state: State | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Listing:
        """Return submissions, newest first; `dead` and `held` ones straight from their index, oldest id first.

        A page may hold fewer than `limit`, also none, and still have a `cursor`: what does not match is passed over,
        a bounded number of rows a call.

        Args:
            trigger: Only those of this trigger.
            state: Only those in this state.
            limit: At most so many.
            cursor: Where to go on: what the last call returned.

        Raises:
            LedgerUnavailable: The ledger did not answer.
        """
        found: list[str] = []
        for _ in range(MAX_LIST_PAGES):
            if state in ATTENTION and state is not None:
                page = self.ledger.attention(state, limit=limit, continuation=cursor)
            else:
                page = self.ledger.log(limit=limit, continuation=cursor)
            cursor = page.continuation
            found += [
                row.key.rpartition(":")[2]
                for row in page.rows
                if trigger in (None, row.values.get("trigger"))
                and state in (None, row.values.get("state"))
            ]
            if found or cursor is None:
                break
        known = (self.ledger.get(identifier) for identifier in found)
        return Listing(submissions=tuple(one for one in known if one is not None), cursor=cursor)

    def replay(self, submission_id: str, *, confirmed: bool = False) -> Submission:
        """Start a submission's run again: a new generation, rendered from its event with today's file, and sent.

        Args:
            submission_id: Which.
            confirmed: Whether the person knows that a run may exist already.

        Raises:
            NotFound: There is none with that id, or its trigger is no longer in the file.
            NotAllowed: It stands where this cannot be done, or must be confirmed.
            RenderError: Its values cannot be made from its event.
            LedgerUnavailable: The ledger did not answer.
        """
        submission = self.submission(submission_id)
        check_replay(submission, confirmed=confirmed)
        trigger = self.trigger(submission.trigger)
        claimed_at, now = self.sending.monotonic(), self.clock()
        body = build_run_body(
            self.config,
            trigger,
            submission.event,
            stamp=stamp(submission.id, submission.generation + 1),
        )
        pipeline = trigger.pipeline
        taken = self.ledger.take(
            submission,
            lambda row: replayed(
                row,
                body,
                pipeline=pipeline.name,
                kind=pipeline.kind,
                place=pipeline.place,
                now=now,
            ),
        )
        if taken is None:
            raise NotAllowed(f"submission {submission_id} has just been changed by somebody else")
        log_decision("submission_replayed", taken)
        return self.sending.send(Accepted(submission=taken, won=True, claimed_at=claimed_at))

    def drop(self, submission_id: str) -> Submission:
        """Drop a `dead` or `held` submission: it is `skipped` from now on, and needs nobody's attention.

        Raises:
            NotFound: There is none with that id.
            NotAllowed: It is neither dead nor held.
            LedgerUnavailable: The ledger did not answer.
        """
        now = self.clock()
        after = self.ledger.take(self.submission(submission_id), lambda row: dropped(row, now=now))
        if after is None:
            raise NotAllowed(f"submission {submission_id} has just been changed by somebody else")
        log_decision("submission_dropped", after)
        return after

    def cancel(self, submission_id: str) -> Submission:
        """Ask Azure ML to cancel a submission's run; that it ended is recorded when it is followed.

        Raises:
            NotFound: There is none with that id.
            NotAllowed: It has no run that could be at work, or its pipeline has changed.
            WorkspaceUnavailable: Azure ML did not say that it will.
            LedgerUnavailable: The ledger did not answer.
        """
        submission = self.submission(submission_id)
        pipeline = self.config.pipelines.get(submission.pipeline)
        if submission.run_id is None or submission.state is State.FINISHED:
            raise NotAllowed(
                f"submission {submission_id} is {submission.state} and has no run to cancel"
            )
        away = moved_away(submission, pipeline)
        if pipeline is None or away is not None:
            raise NotAllowed(f"its run cannot be cancelled from here: {away}")
        try:
            self.workspace.cancel(pipeline, submission.run_id)
        except RunGone as error:
            raise NotAllowed(str(error)) from error
        log_decision("run_canceled", submission)
        return submission

    def last_tick(self) -> Tick:
        """Return how far the ticks came: proof that the ledger answers.

        Raises:
            LedgerUnavailable: It does not.
        """
        return self.ledger.tick()


def log_decision(action: str, submission: Submission) -> None:
    """Write the record of what a person decided."""
    logger.info(
        "%s: submission %s of trigger %s",
        action,
        submission.id,
        submission.trigger,
        extra={
            "action": action,
            "trigger": submission.trigger,
            "submission": submission.id,
            "run": submission.run_id,
        },
    )
