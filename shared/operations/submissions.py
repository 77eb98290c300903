"""What people and scripts can do, whoever asks: the entry points, the HTTP API and the command line call these."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from shared.clients.workspace import Workspace
from shared.config.model import Config, ScheduleSource, Trigger
from shared.core.errors import NotAllowed, NotFound, WrongSource
from shared.core.events import BlobNotification, Event, Ignored, ScheduleEvent
from shared.core.runs import RunGone
from shared.core.submissions import Decision, State, Submission, correlation_id
from shared.core.transitions import check_replay, decided, dropped, replayed
from shared.core.trigger_state import anchor_of
from shared.engine.accept import Accepted, Acceptor, build_run_body
from shared.engine.send import Sender, moved_away
from shared.engine.tick.occurrences import schedule_event
from shared.ledger.ledger import Ledger
from shared.ledger.tick import Tick
from shared.operations.listing import SubmissionFilter, SubmissionPage, list_submissions
from shared.operations.preview import Preview, PreviewSubject, preview
from shared.operations.triggers import TriggerReport, override, report
from shared.schedules.upcoming import Outlook, look_ahead

logger = logging.getLogger(__name__)


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
    acceptor: Acceptor
    sender: Sender
    workspace: Workspace
    clock: Callable[[], datetime]

    def start(
        self, notification: Event | BlobNotification, *, decision: Decision | None = None
    ) -> Submission | Ignored:
        """Take an event the whole way: accept, then send.

        Args:
            notification: What happened.
            decision: Who asked for it, where somebody did.

        Raises:
            Unavailable: The event is not safe: fail, so that it is delivered again.
            RequestError: A request cannot become an event.
        """
        accepted = self.acceptor.accept(notification, decision=decision)
        return accepted if isinstance(accepted, Ignored) else self.sender.send(accepted)

    def trigger(self, name: str) -> Trigger:
        """Return a trigger of the file.

        Raises:
            NotFound: There is none of that name.
        """
        if name not in self.config.triggers:
            raise NotFound("there is no trigger of that name in the triggers file")
        return self.config.triggers[name]

    def upcoming(self, name: str, *, since: datetime | None = None, count: int = 5) -> Outlook:
        """Return the next occurrences of a trigger's schedule; nothing is recorded.

        Args:
            name: The trigger.
            since: From when on, itself included; now when None.
            count: How many.

        Raises:
            NotFound: There is no such trigger.
            WrongSource: It does not start from a schedule.
            LedgerUnavailable: The ledger did not answer.
        """
        source = schedule_of(self.trigger(name))
        known = self.ledger.known(name)
        seen = (
            known.registered_at if known and known.source_key == source.source_key else self.clock()
        )
        return look_ahead(
            source.schedule,
            anchor=anchor_of(seen),
            since=since or self.clock(),
            count=count,
        )

    def occurrence(self, name: str, time: datetime) -> ScheduleEvent:
        """Return an instant as an event of a schedule, with its window, whether it is one of its occurrences or not.

        Raises:
            NotFound: There is no trigger of that name.
            WrongSource: It is not a schedule.
            LedgerUnavailable: The ledger did not answer.
        """
        trigger = self.trigger(name)
        source = schedule_of(trigger)
        state = self.ledger.read_states([trigger.registration(self.clock())])[name]
        return schedule_event(name, source, time, anchor=state.anchor)

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
        wanted: SubmissionFilter | None = None,
        *,
        limit: int = 50,
        cursor: str | None = None,
    ) -> SubmissionPage:
        """Return a page of submissions: see `list_submissions`.

        Raises:
            InvalidRequest: The cursor is not one of ours.
            LedgerUnavailable: The ledger did not answer.
        """
        return list_submissions(
            self.ledger, wanted or SubmissionFilter(), limit=limit, cursor=cursor
        )

    def triggers(
        self, *, limit: int | None = None, after: str | None = None
    ) -> Sequence[TriggerReport]:
        """Return the triggers of the file in its order, with what the ledger knows of them.

        Args:
            limit: At most so many; all when None.
            after: Only those behind this one.

        Raises:
            NotFound: There is no trigger `after`.
            LedgerUnavailable: The ledger did not answer.
        """
        found = list(self.config.triggers.values())
        first = found.index(self.trigger(after)) + 1 if after is not None else 0
        end = None if limit is None else first + limit
        return report(found[first:end], ledger=self.ledger, now=self.clock())

    def report(self, name: str) -> TriggerReport:
        """Return a trigger with what the ledger knows of it.

        Raises:
            NotFound: There is none of that name.
            LedgerUnavailable: The ledger did not answer.
        """
        trigger = self.trigger(name)
        (found,) = report([trigger], ledger=self.ledger, now=self.clock(), thorough=True)
        return found

    def override(self, name: str, enabled: bool | None, *, by: str | None = None) -> TriggerReport:
        """Enable or disable a trigger; None returns it to the file's value.

        Raises:
            NotFound: There is none of that name.
            LedgerUnavailable: It may not be recorded.
        """
        trigger = self.trigger(name)
        override(trigger, enabled, ledger=self.ledger, clock=self.clock, by=by)
        said = {True: "enabled", False: "disabled", None: "returned to the file's value"}[enabled]
        logger.info(
            "trigger %s is %s by %s",
            name,
            said,
            by or "a person",
            extra={"action": "trigger_overridden", "trigger": name, "enabled": enabled, "by": by},
        )
        return self.report(name)

    def preview(self, asked: list[tuple[Trigger, PreviewSubject]]) -> list[Preview]:
        """Return what each trigger would do with its notification: nothing is claimed, recorded or sent.

        Raises:
            LedgerUnavailable: The ledger did not answer.
        """
        return preview(
            asked,
            config=self.config,
            ledger=self.ledger,
            acceptor=self.acceptor,
            now=self.clock(),
        )

    def replay(
        self, submission_id: str, *, confirmed: bool = False, by: str | None = None
    ) -> Submission:
        """Start a submission's run again: a new generation, rendered from its event with today's file, and sent.

        Args:
            submission_id: Which.
            confirmed: Whether the person knows that a run may exist already.
            by: Who asks for it.

        Raises:
            NotFound: There is none with that id, or its trigger is no longer in the file.
            NotAllowed: It stands where this cannot be done, or must be confirmed.
            RenderError: Its values cannot be made from its event.
            LedgerUnavailable: The ledger did not answer.
        """
        submission = self.submission(submission_id)
        check_replay(submission, confirmed=confirmed)
        trigger = self.trigger(submission.trigger)
        claimed_at, now = self.sender.monotonic(), self.clock()
        body = build_run_body(
            self.config,
            trigger,
            submission.event,
            correlation_id=correlation_id(submission.id, submission.generation + 1),
        )
        pipeline = trigger.pipeline
        taken = self.ledger.take(
            submission,
            lambda row: decided(
                replayed(
                    row,
                    body,
                    pipeline=pipeline.name,
                    kind=pipeline.kind,
                    endpoint_digest=pipeline.endpoint_digest,
                    now=now,
                ),
                Decision(time=now, action="replay", by=by),
            ),
        )
        if taken is None:
            raise NotAllowed(f"submission {submission_id} has just been changed by somebody else")
        log_decision("submission_replayed", taken)
        return self.sender.send(Accepted(submission=taken, won=True, claimed_at=claimed_at))

    def drop(self, submission_id: str, *, by: str | None = None) -> Submission:
        """Drop a `dead` or `held` submission: it is `skipped` from now on, and needs nobody's attention.

        Raises:
            NotFound: There is none with that id.
            NotAllowed: It is neither dead nor held.
            LedgerUnavailable: The ledger did not answer.
        """
        now = self.clock()
        decision = Decision(time=now, action="drop", by=by)
        after = self.ledger.take(
            self.submission(submission_id), lambda row: decided(dropped(row, now=now), decision)
        )
        if after is None:
            raise NotAllowed(f"submission {submission_id} has just been changed by somebody else")
        log_decision("submission_dropped", after)
        return after

    def cancel(self, submission_id: str, *, by: str | None = None) -> Submission:
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
        decision = Decision(time=self.clock(), action="cancel", by=by)
        after = self.ledger.update(
            submission,
            lambda row: row if decision in row.decisions else decided(row, decision),
        )
        log_decision("run_canceled", after)
        return after

    def last_tick(self) -> Tick:
        """Return how far the ticks came: proof that the ledger answers.

        Raises:
            LedgerUnavailable: It does not.
        """
        return self.ledger.tick()


def schedule_of(trigger: Trigger) -> ScheduleSource:
    """Return a trigger's schedule.

    Raises:
        WrongSource: It starts from something else.
    """
    if isinstance(trigger.source, ScheduleSource):
        return trigger.source
    raise WrongSource(
        f"trigger {trigger.name} starts from {trigger.source.source}, not from a schedule"
    )


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
            "by": submission.decisions[-1].by if submission.decisions else None,
        },
    )
