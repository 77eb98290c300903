"""The first verb: an event becomes a submission.

    match by name -> facts (one HEAD, blobs only) -> match in full -> render -> claim

Whatever does not match a trigger leaves one log record, `event_ignored`, with the reason. Whatever matches is in the
ledger when `accept` returns.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.config.model import BlobSource, Config, ScheduleSource, Trigger
from shared.core.errors import (
    BodyTooLarge,
    InvalidRequest,
    KeyReused,
    MissingValue,
    Problem,
    RenderError,
    RequestError,
    RequestTooLarge,
)
from shared.core.events import (
    BlobEvent,
    BlobFacts,
    BlobNotification,
    Event,
    HttpEvent,
    Ignored,
    ScheduleEvent,
    deduplication_key,
    dump_event,
)
from shared.core.submissions import LEASE, Decision, State, Submission, correlation_id
from shared.core.times import print_instant
from shared.core.transitions import decided
from shared.engine.render import render
from shared.ledger.ledger import Ledger
from shared.pipelines.kinds import KINDS
from shared.schedules.schedule import delay

logger = logging.getLogger(__name__)

MAX_EVENT_BYTES = 60 * 1024
"""A stored event is one binary property; the service takes 64 KiB."""

RUN_NOW = "run_now"
"""The decision to start something that did not come by itself."""

type Head = Callable[[str, str, str], BlobFacts | None]
"""Asks for a blob's facts by connection, container and path; None when it has vanished."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """The event is in the ledger.

    Attributes:
        submission: As the ledger has it.
        won: Whether this delivery claimed it; else it was there before.
        claimed_at: When the claim began, in seconds of the monotonic clock.
    """

    submission: Submission
    won: bool
    claimed_at: float


class Acceptor:
    """Turns events into submissions.

    Args:
        config: Today's file.
        ledger: Where claims are made.
        head: Asks for a blob's facts.
        clock: Says the time; aware.
        monotonic: Seconds; the same clock that `Sending` compares with.
    """

    def __init__(
        self,
        config: Config,
        *,
        ledger: Ledger,
        head: Head,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._head = head
        self._clock = clock
        self._monotonic = monotonic

    def accept(
        self, notification: Event | BlobNotification, *, decision: Decision | None = None
    ) -> Accepted | Ignored:
        """Record that an event must start a run, or say why it starts nothing.

        Args:
            notification: What happened.
            decision: Who asked for it. What somebody wants run now (`run_now`) may be older than the trigger.

        Raises:
            LedgerUnavailable: The event is not safe yet: fail, so that the host or the caller delivers it again.
            StorageUnavailable: The blob's facts could not be read: likewise.
            RequestError: A request cannot become an event.
        """
        trigger = self._config.triggers[notification.trigger]
        event = (
            self.read_blob(trigger, notification)
            if isinstance(notification, BlobNotification)
            else notification
        )
        asked = is_asked(decision)
        ignored = event if isinstance(event, Ignored) else self._gate(trigger, event, asked=asked)
        if ignored is not None:
            self._log_ignored(notification, ignored)
            return ignored
        assert not isinstance(event, Ignored)  # noqa: S101 — tells the type checker what the line above decided
        return self._claim(trigger, event, decision)

    def accept_past(self, event: ScheduleEvent) -> Accepted:
        """Record an occurrence that a person asks for, however old it is: the trigger's floor does not count.

        Raises:
            LedgerUnavailable: The event is not safe yet.
        """
        return self._claim(self._config.triggers[event.trigger], event, None)

    def skip_all(self, missed: Sequence[tuple[ScheduleEvent, str]]) -> None:
        """Record occurrences that are missed on purpose, each with the reason.

        Raises:
            LedgerUnavailable: Some may not be recorded; give them all again.
        """
        now = self._clock()
        skipped = [
            replace(
                self._unsent(self._config.triggers[event.trigger], event, now),
                state=State.SKIPPED,
                reason=reason,
            )
            for event, reason in missed
        ]
        self._ledger.record_all(skipped)
        for submission in skipped:
            logger.info(
                "submission %s of trigger %s is skipped: %s",
                submission.id,
                submission.trigger,
                submission.reason,
                extra={
                    "action": "submission_skipped",
                    "trigger": submission.trigger,
                    "submission": submission.id,
                },
            )

    def read_blob(self, trigger: Trigger, notification: BlobNotification) -> BlobEvent | Ignored:
        """Match by name, look at the blob, and match in full.

        Raises:
            StorageUnavailable: The blob's facts could not be read.
        """
        source = trigger.source
        if not isinstance(source, BlobSource):
            reason = f"trigger {trigger.name} does not start from blobs"
            return Ignored(reason=reason, condition="source", value=trigger.source.source)
        if notification.container != source.datastore.container:
            reason = f"container {notification.container} is not the trigger's {source.datastore.container}"
            return Ignored(reason=reason, condition="container", value=notification.container)
        mismatch = source.rule.mismatch(notification.path)
        if mismatch is not None:
            return Ignored(
                reason=mismatch.reason, condition=mismatch.condition, value=mismatch.value
            )
        facts = self._head(source.datastore.connection, notification.container, notification.path)
        if facts is None:
            return Ignored(reason="the blob has vanished", condition="exists", value="false")
        if facts.is_folder:
            reason = "it is a folder marker (hdi_isfolder)"
            return Ignored(reason=reason, condition="folder", value="true")
        return BlobEvent(
            trigger=trigger.name,
            account=facts.account,
            container=facts.container,
            path=facts.path,
            url=facts.url,
            etag=facts.etag,
            size=facts.size,
            last_modified=facts.last_modified,
            metadata=facts.metadata,
        )

    def _gate(self, trigger: Trigger, event: Event, *, asked: bool) -> Ignored | None:
        """Return why the trigger's own state keeps the event from starting anything."""
        state = self._ledger.register(trigger.registration(self._clock()))
        return state.reason_to_ignore(event, enabled_in_file=trigger.enabled, run_now=asked)

    def _claim(self, trigger: Trigger, event: Event, decision: Decision | None) -> Accepted:
        if len(dump_event(event)) > MAX_EVENT_BYTES:
            raise RequestTooLarge(
                f"the request takes more than {MAX_EVENT_BYTES // 1024} KiB in the ledger; send a path instead of data"
            )
        now = self._clock()
        submission = self._submission(trigger, event, now, decision)
        if decision is not None:
            submission = decided(submission, decision)
        claimed_at = self._monotonic()
        claim = self._ledger.claim(submission)
        if isinstance(event, HttpEvent) and not claim.won:
            _check_same_request(claim.submission, event)
        _log_claim(claim.submission, won=claim.won)
        return Accepted(submission=claim.submission, won=claim.won, claimed_at=claimed_at)

    def _submission(
        self, trigger: Trigger, event: Event, now: datetime, decision: Decision | None
    ) -> Submission:
        identifier = deduplication_key(event)
        body, failure = b"", None
        try:
            body = build_run_body(
                self._config, trigger, event, correlation_id=correlation_id(identifier, 1)
            )
        except RenderError as error:
            if isinstance(event, HttpEvent):
                raise _callers_mistake(error) from error
            failure = str(error)
        submission = replace(self._unsent(trigger, event, now), body=body or None)
        if failure:
            return replace(submission, state=State.DEAD, reason=failure)
        begin = _begin(trigger, event)
        if begin > now and not is_asked(decision):
            # It is claimed now and sent then, whatever becomes of this process or of the file's jitter meanwhile.
            reason = f"waits until {print_instant(begin)}: the schedule has a jitter"
            return replace(submission, state=State.PENDING, reason=reason, due=begin, since=begin)
        return replace(submission, due=now + LEASE)

    def _unsent(self, trigger: Trigger, event: Event, now: datetime) -> Submission:
        """Return a submission of an event, before anything is decided or rendered."""
        return Submission(
            id=deduplication_key(event),
            trigger=trigger.name,
            pipeline=trigger.pipeline.name,
            kind=trigger.pipeline.kind,
            endpoint_digest=trigger.pipeline.endpoint_digest,
            event=event,
            body=None,
            created=now,
            updated=now,
            status_token=secrets.token_urlsafe(24),
        )

    def _log_ignored(self, notification: Event | BlobNotification, ignored: Ignored) -> None:
        what = (
            notification.path if isinstance(notification, BlobNotification | BlobEvent) else "event"
        )
        logger.info(
            "trigger %s ignores %s: %s",
            notification.trigger,
            what,
            ignored.reason,
            extra={
                "action": "event_ignored",
                "trigger": notification.trigger,
                "reason": ignored.reason,
            },
        )


def _callers_mistake(error: RenderError) -> RequestError:
    """Return what a value that cannot be made says to the caller who sent what it is made of."""
    if isinstance(error, BodyTooLarge):
        return RequestTooLarge(str(error))
    if isinstance(error, MissingValue):
        problem = Problem(where=error.name, message=f"is missing: {error.where} uses it")
        return InvalidRequest(f"the trigger needs {error.name}", problems=[problem])
    problem = Problem(where=error.where, message=str(error).removeprefix(f"{error.where}: "))
    return InvalidRequest("a value cannot be made from this request", problems=[problem])


def is_asked(decision: Decision | None) -> bool:
    """Return whether somebody wants exactly this to run, now, however old it is."""
    return decision is not None and decision.action == RUN_NOW


def build_run_body(config: Config, trigger: Trigger, event: Event, *, correlation_id: str) -> bytes:
    """Return the body of an event's run, rendered with today's file.

    Raises:
        RenderError: A value cannot be made from this event.
    """
    values = render(config, trigger, event)
    return KINDS[trigger.pipeline.kind].build_body(values, correlation_id=correlation_id)


def _begin(trigger: Trigger, event: Event) -> datetime:
    """Return when an event's run may start: an occurrence's own time, and its jitter."""
    if not isinstance(trigger.source, ScheduleSource) or not trigger.source.jitter:
        return event.time
    return event.time + delay(deduplication_key(event), at_most=trigger.source.jitter)


def _check_same_request(known: Submission, event: HttpEvent) -> None:
    if isinstance(known.event, HttpEvent) and known.event.fingerprint == event.fingerprint:
        return
    raise KeyReused(
        f"this Idempotency-Key made submission {known.id} from another body; use a new key for a new request"
    )


def _log_claim(submission: Submission, *, won: bool) -> None:
    if not won:
        logger.info(
            "submission %s of trigger %s is %s already",
            submission.id,
            submission.trigger,
            submission.state,
            extra={
                "action": "event_repeated",
                "trigger": submission.trigger,
                "submission": submission.id,
            },
        )
    elif submission.state is State.DEAD:
        logger.error(
            "submission %s of trigger %s is dead: %s",
            submission.id,
            submission.trigger,
            submission.reason,
            extra={
                "action": "submission_dead",
                "trigger": submission.trigger,
                "submission": submission.id,
            },
        )
    else:
        logger.info(
            "submission %s of trigger %s is claimed",
            submission.id,
            submission.trigger,
            extra={
                "action": "submission_claimed",
                "trigger": submission.trigger,
                "submission": submission.id,
            },
        )
