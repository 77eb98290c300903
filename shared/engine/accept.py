"""The first step of an event: it becomes a submission.

    match by name -> read the blob's properties (blobs only) -> check the trigger's state -> render -> claim

An event that starts nothing leaves one log record, `event_ignored`, with the reason. An event that starts something is
in the ledger when `accept` returns.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from shared.config.model import BlobSource, ScheduleSource, Trigger
from shared.core.clocks import CLOCK_TOLERANCE
from shared.core.decisions import RUN_NOW, with_decision
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
    BlobNotification,
    Event,
    HttpEvent,
    Ignored,
    ScheduleEvent,
    deduplication_key,
    dump_event,
)
from shared.core.submissions import Decision, State, Submission, correlation_id
from shared.core.telemetry import Action, log_decision
from shared.core.times import print_instant
from shared.core.transitions import lease
from shared.engine.render import render_body
from shared.engine.services import Services
from shared.ledger.triggers import TRIGGER_CACHE
from shared.schedules.schedule import delay

logger = logging.getLogger(__name__)

MAX_EVENT_BYTES = 60 * 1024
"""A stored event is one binary property. The table service takes 64 KiB."""


def accept(
    services: Services,
    notification: Event | BlobNotification,
    *,
    decision: Decision | None = None,
) -> Submission | Ignored:
    """Record that an event must start a run, or return why it starts nothing.

    Args:
        services: The app's parts.
        notification: What happened.
        decision: Who asked for it. An event that a person wants now (`run_now`) may be older than the trigger.

    Returns:
        The submission as the ledger has it. `engine.send` sends it if this call has claimed it.

    Raises:
        LedgerUnavailable: The event is not safe yet. Fail, so that the host or the caller delivers it again.
        LedgerError: A row of the event, or of its trigger, cannot be read. Fail likewise.
        StorageUnavailable: The blob's properties could not be read. Fail likewise.
        RequestError: A request cannot become an event.
    """
    trigger = services.config.triggers[notification.trigger]
    found = (
        read_blob(services, trigger, notification)
        if isinstance(notification, BlobNotification)
        else notification
    )
    if isinstance(found, BlobEvent) and isinstance(notification, BlobNotification):
        known = _earlier_version(services, notification, found)
        if known is not None:
            _log_claim(known)
            return known
    event = found if isinstance(found, Ignored) else _admit(services, trigger, found, decision)
    if isinstance(event, Ignored):
        _log_ignored(notification, event)
        return event
    return _claim(services, trigger, event, decision)


def accept_past(services: Services, event: ScheduleEvent) -> Submission:
    """Record an occurrence that a person asks for, however old it is. The trigger's cutoff does not apply.

    Raises:
        LedgerUnavailable: The event is not safe yet.
    """
    return _claim(services, services.config.triggers[event.trigger], event, None)


def skip(services: Services, missed: Sequence[tuple[ScheduleEvent, str]]) -> None:
    """Record occurrences as `skipped`, each with the reason.

    Raises:
        LedgerUnavailable: Some may not be recorded. Skip them all again.
    """
    now = services.clock()
    skipped = [
        replace(
            _unsent(services.config.triggers[event.trigger], event, now),
            state=State.SKIPPED,
            reason=reason,
        )
        for event, reason in missed
    ]
    services.ledger.submissions.record_all(skipped)
    for submission in skipped:
        log_decision(
            logger,
            Action.SUBMISSION_SKIPPED,
            f"submission {submission.id} of trigger {submission.trigger} is skipped: {submission.reason}",
            {"trigger": submission.trigger, "submission": submission.id},
        )


def read_blob(
    services: Services, trigger: Trigger, notification: BlobNotification
) -> BlobEvent | Ignored:
    """Match a blob by name, read its properties, and return its event, or why it starts nothing.

    Raises:
        StorageUnavailable: The blob's properties could not be read.
    """
    source, path = trigger.source, notification.path
    if not isinstance(source, BlobSource):
        reason = f"trigger {trigger.name} does not start from blobs"
        return Ignored(reason=reason, condition="source", value=trigger.source.source)
    container = source.datastore.container
    if notification.container != container:
        reason = f"container {notification.container} is not the trigger's {container}"
        return Ignored(reason=reason, condition="container", value=notification.container)
    mismatch = source.rule.mismatch(path)
    if mismatch is not None:
        return Ignored(reason=mismatch.reason, condition=mismatch.condition, value=mismatch.value)
    facts = services.read_blob(source.datastore.connection, container, path)
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


def _earlier_version(
    services: Services, notification: BlobNotification, event: BlobEvent
) -> Submission | None:
    """Return the submission of the version that a notification is about, if the blob has changed since.

    A pipeline that changes its input blob's metadata makes a new version. If the notification of the old one is then
    delivered again, it must not start a run for the new one.
    """
    etag = (notification.etag or event.etag).removeprefix("W/").strip('"')
    if etag == event.etag:
        return None
    return services.ledger.submissions.get(deduplication_key(replace(event, etag=etag)))


def _admit(
    services: Services, trigger: Trigger, event: Event, decision: Decision | None
) -> Event | Ignored:
    """Return the event, or why the trigger's state keeps it from starting anything."""
    now = services.clock()
    registration = trigger.registration(now)

    def reason_to_ignore(*, past_cache: bool) -> Ignored | None:
        state = services.ledger.triggers.register(registration, past_cache=past_cache)
        run_now = _is_run_now(decision)
        return state.reason_to_ignore(event, enabled_in_file=trigger.enabled, run_now=run_now)

    ignored = reason_to_ignore(past_cache=False)
    if ignored is not None and _may_be_newer_than_cache(event, decision, now):
        ignored = reason_to_ignore(past_cache=True)
    return ignored or event


def _may_be_newer_than_cache(event: Event, decision: Decision | None, now: datetime) -> bool:
    """Return whether another instance may have enabled the trigger before the event, and this one not know it yet.

    A tick has just read the states of all triggers.
    """
    if isinstance(event, ScheduleEvent) and decision is None:
        return False
    return decision is not None or now - event.time < TRIGGER_CACHE + CLOCK_TOLERANCE


def _claim(
    services: Services, trigger: Trigger, event: Event, decision: Decision | None
) -> Submission:
    if len(dump_event(event)) > MAX_EVENT_BYTES:
        raise RequestTooLarge(
            f"the request takes more than {MAX_EVENT_BYTES // 1024} KiB in the ledger; send a path instead of data"
        )
    submission = _submission(services, trigger, event, decision)
    if decision is not None:
        submission = with_decision(submission, decision)
    claimed = services.ledger.submissions.claim(submission)
    if isinstance(event, HttpEvent) and claimed.claimed_at is None:
        _check_same_request(claimed, event)
    _log_claim(claimed)
    return claimed


def _submission(
    services: Services, trigger: Trigger, event: Event, decision: Decision | None
) -> Submission:
    """Return the submission that a claim records: to be sent, to wait for its jitter, or dead."""
    now = services.clock()
    submission = _unsent(trigger, event, now)
    key = correlation_id(submission.id, submission.generation)
    try:
        rendered = render_body(services.config, trigger, event, correlation_id=key)
    except RenderError as error:
        if isinstance(event, HttpEvent):
            raise _request_error(error) from error
        return replace(submission, state=State.DEAD, reason=str(error))
    submission = replace(submission, body=rendered.body, experiment=rendered.experiment)
    start = _start_time(trigger, event)
    if start > now and not _is_run_now(decision):
        # It is claimed now and sent then, so that neither a lost process nor a new jitter in the file changes it.
        reason = f"waits until {print_instant(start)}: the schedule has a jitter"
        return replace(submission, state=State.PENDING, reason=reason, due=start, since=start)
    return lease(submission, now=now)


def _unsent(trigger: Trigger, event: Event, now: datetime) -> Submission:
    """Return an event's submission before anything is rendered or decided."""
    return Submission(
        id=deduplication_key(event),
        trigger=trigger.name,
        pipeline=trigger.pipeline.name,
        kind=trigger.pipeline.kind,
        endpoint_digest=trigger.pipeline.endpoint_digest,
        workspace_digest=trigger.pipeline.workspace_digest,
        event=event,
        body=None,
        created=now,
        updated=now,
        status_token=secrets.token_urlsafe(24),
    )


def _is_run_now(decision: Decision | None) -> bool:
    return decision is not None and decision.action == RUN_NOW


def _start_time(trigger: Trigger, event: Event) -> datetime:
    """Return when an event's run may start: the event's time, and for an occurrence its jitter."""
    if not isinstance(trigger.source, ScheduleSource) or not trigger.source.jitter:
        return event.time
    return event.time + delay(deduplication_key(event), at_most=trigger.source.jitter)


def _request_error(error: RenderError) -> RequestError:
    """Return the caller's error for a value that cannot be made from its request."""
    if isinstance(error, BodyTooLarge):
        return RequestTooLarge(str(error))
    if isinstance(error, MissingValue):
        problem = Problem(where=error.name, message=f"is missing: {error.where} uses it")
        return InvalidRequest(f"the trigger needs {error.name}", problems=[problem])
    problem = Problem(where=error.where, message=str(error).removeprefix(f"{error.where}: "))
    return InvalidRequest("a value cannot be made from this request", problems=[problem])


def _check_same_request(known: Submission, event: HttpEvent) -> None:
    if isinstance(known.event, HttpEvent) and known.event.fingerprint == event.fingerprint:
        return
    raise KeyReused(
        f"this Idempotency-Key made submission {known.id} from another body; use a new key for a new request"
    )


def _log_ignored(notification: Event | BlobNotification, ignored: Ignored) -> None:
    what = notification.path if isinstance(notification, BlobNotification | BlobEvent) else "event"
    log_decision(
        logger,
        Action.EVENT_IGNORED,
        f"trigger {notification.trigger} ignores {what}: {ignored.reason}",
        {"trigger": notification.trigger, "reason": ignored.reason},
    )


def _log_claim(submission: Submission) -> None:
    ids = {"trigger": submission.trigger, "submission": submission.id}
    about = f"submission {submission.id} of trigger {submission.trigger}"
    if submission.claimed_at is None:
        log_decision(logger, Action.EVENT_REPEATED, f"{about} is already {submission.state}", ids)
    elif submission.state is State.DEAD:
        log_decision(
            logger,
            Action.SUBMISSION_DEAD,
            f"{about} is dead: {submission.reason}",
            ids,
            level=logging.ERROR,
        )
    else:
        log_decision(logger, Action.SUBMISSION_CLAIMED, f"{about} is claimed", ids)
