"""The routes of the JSON API, each declared beside its handler. `web/api/openapi.py` declares one more."""

from __future__ import annotations

import hmac
import logging
import re
from urllib.parse import urlsplit

from shared.clients.transport import VERSION
from shared.core.decisions import RUN_NOW
from shared.core.errors import NotFound, Unavailable
from shared.core.events import Ignored, ScheduleEvent
from shared.core.submissions import Decision, State
from shared.core.telemetry import Action, log_decision
from shared.core.times import print_instant
from shared.operations.listing import SubmissionFilter, read_cursor, write_cursor
from shared.operations.listing import list_submissions as list_page
from shared.operations.preview import preview as preview_triggers
from shared.operations.submissions import cancel, drop, replay, resume, start
from shared.operations.submissions import get_submission as get_submission_row
from shared.operations.triggers import get_trigger as find_trigger
from shared.operations.triggers import occurrence, override, report_trigger, report_triggers
from shared.web.api.models import (
    ActionBody,
    HealthView,
    OverrideBody,
    PreviewBody,
    PreviewPageView,
    ResultView,
    RunNowBody,
    StatusView,
    SubmissionBody,
    SubmissionPageView,
    SubmissionView,
    TriggerPageView,
    TriggerView,
)
from shared.web.api.previews import check_preview, subject_for
from shared.web.api.queries import Query
from shared.web.api.requests import read_body, read_event, read_run_now
from shared.web.api.results import bare_status, failure, result, retry_after, status_of
from shared.web.api.views import view_line, view_preview, view_submission, view_trigger
from shared.web.callers import EVERY_ROLE, NO_ROLE, OPERATORS, READERS, SUBMITTERS
from shared.web.exchange import Reply
from shared.web.idempotency import HEADER as IDEMPOTENCY_KEY
from shared.web.problems import cut, problem
from shared.web.registry import SUBMISSION_ID, RouteCall, route
from shared.web.strict_json import read_body_object

logger = logging.getLogger(__name__)

_TRIGGER_CURSOR = re.compile(r"trigger:.{1,260}", re.DOTALL)


@route(
    "submit",
    "POST",
    "v1/triggers/{name}/submissions",
    roles=SUBMITTERS,
    query=None,
    headers=(IDEMPOTENCY_KEY,),
    bodies=(RunNowBody, SubmissionBody),
    answers={202: SubmissionView},
    answer_headers={202: ("Location", "Retry-After")},
    problems=(400, 404, 409, 413, 422, 502, 503),
)
def submit(call: RouteCall) -> Reply:
    """Start a trigger.

    An `http` trigger starts with each call, unless `Idempotency-Key` repeats. A trigger of another source needs
    `"run_now": true`. The submission is then the same as if the event had arrived, so that an occurrence or a version
    of a blob that already has a submission does not start again.
    """
    trigger = find_trigger(call.services, call.trigger)
    now = call.services.clock()
    requested = read_run_now(trigger, call.request, now=now)
    event = requested or read_event(call.services.config, trigger, call.request, now=now)
    if isinstance(event, ScheduleEvent):
        event = occurrence(call.services, event.trigger, event.time)
    action = RUN_NOW if requested else "submit"
    decision = Decision(time=now, action=action, by=call.caller.name)
    # An anonymous call is the trigger's event itself. It is a decision if it has a name or replaces an event.
    recorded = requested is not None or call.caller.name is not None
    started = start(call.services, event, decision=decision if recorded else None)
    if isinstance(started, Ignored):
        title = "No run was started"
        return problem(409, title, started.reason, request_id=call.id, trigger=call.trigger)
    if started.state is State.DEAD:
        return failure(started, status_of(started), request_id=call.id)
    path = f"status/{started.id}/{started.status_token}"
    if started.status_token is None:
        # An older version of the app wrote the row, without a token.
        path = f"v1/submissions/{started.id}"
    headers = {"Location": _sibling_url(call.request.url, path), **retry_after(started, now)}
    content = view_submission(started, call.services.config.workspace)
    return Reply(status=202, content=content, headers=headers)


@route(
    "list_triggers",
    "GET",
    "v1/triggers",
    roles=READERS,
    query=("limit", "cursor"),
    answers={200: TriggerPageView},
    problems=(400, 404, 503),
)
def list_triggers(call: RouteCall) -> Reply:
    """List the triggers, in the order of the triggers file."""
    query = Query(call.request.query)
    limit = query.limit()
    after = _read_trigger_cursor(call, query.cursor())
    # One more than a page, to know whether there is a next page.
    reports = report_triggers(call.services, limit=limit + 1, after=after)
    shown, cursor = list(reports[:limit]), None
    if len(reports) > limit:
        cursor = write_cursor(f"trigger:{shown[-1].trigger.name}")
    page = TriggerPageView(triggers=[view_trigger(report) for report in shown], cursor=cursor)
    return Reply(status=200, content=page.model_dump(mode="json"))


@route(
    "get_trigger",
    "GET",
    "v1/triggers/{name}",
    roles=READERS,
    answers={200: TriggerView},
    problems=(400, 404, 503),
)
def get_trigger(call: RouteCall) -> Reply:
    """Show a trigger with its state, its next occurrences and its latest submissions."""
    report = report_trigger(call.services, call.trigger)
    return Reply(status=200, content=view_trigger(report).model_dump(mode="json"))


@route(
    "set_trigger",
    "PATCH",
    "v1/triggers/{name}",
    roles=OPERATORS,
    bodies=(OverrideBody,),
    body_required=True,
    answers={200: TriggerView},
    problems=(400, 404, 413, 503),
)
def set_trigger(call: RouteCall) -> Reply:
    """Enable or disable a trigger, or return it to the value in the triggers file.

    The override takes effect on every instance within a minute. Events that arrive while a trigger is disabled are not
    caught up later.
    """
    body = read_body(OverrideBody, read_body_object(call.request.body))
    report = override(call.services, call.trigger, body.enabled, by=call.caller.name)
    return Reply(status=200, content=view_trigger(report).model_dump(mode="json"))


@route(
    "list_submissions",
    "GET",
    "v1/submissions",
    roles=READERS,
    query=("trigger", "state", "since", "limit", "cursor"),
    answers={200: SubmissionPageView},
    problems=(400, 503),
)
def list_submissions(call: RouteCall) -> Reply:
    """List submissions, newest first.

    A list of one state, `dead` or `held`, is in the order of the ids, because it is read from the index of that state.
    """
    query = Query(call.request.query)
    wanted = SubmissionFilter(
        trigger=query.text("trigger"), state=query.state(), since=query.instant("since")
    )
    found = list_page(call.services.ledger, wanted, limit=query.limit(), cursor=query.cursor())
    workspace = call.services.config.workspace
    page = SubmissionPageView(
        submissions=[view_line(submission, workspace) for submission in found.submissions],
        cursor=found.cursor,
        unreadable=list(found.unreadable),
    )
    return Reply(status=200, content=page.model_dump(mode="json"))


@route(
    "get_submission",
    "GET",
    "v1/submissions/{id}",
    roles=READERS,
    answers={200: SubmissionView},
    problems=(400, 404, 503),
)
def get_submission(call: RouteCall) -> Reply:
    """Show a submission with its event, its attempts and its decisions.

    The status is 200 in every state. `get_result` has a status for each outcome.
    """
    found = get_submission_row(call.services, call.submission)
    return Reply(status=200, content=view_submission(found, call.services.config.workspace))


@route(
    "get_result",
    "GET",
    "v1/submissions/{id}/result",
    roles=EVERY_ROLE,
    answers={200: ResultView, 202: ResultView},
    answer_headers={202: ("Retry-After",)},
    problems=(400, 404, 409, 422, 424, 502, 503),
)
def get_result(call: RouteCall) -> Reply:
    """Show a submission's outcome.

    The status is 200 if the run succeeded, and 202 while the outcome is not known. Any other outcome is a problem.
    """
    found = get_submission_row(call.services, call.submission)
    workspace = call.services.config.workspace
    return result(found, workspace, now=call.services.clock(), request_id=call.id)


@route(
    "act_on_submission",
    "POST",
    "v1/submissions/{id}/{action}",
    roles=OPERATORS,
    bodies=(ActionBody,),
    answers={200: SubmissionView},
    problems=(400, 404, 409, 413, 422, 503),
)
def act_on_submission(call: RouteCall) -> Reply:
    """Replay, resume, cancel or drop a submission, and show its new state.

    `replay` starts another run, rendered from the stored event with the current triggers file. `resume` polls the run
    of a `held` submission again. `drop` ends a `dead` or `held` submission: the app starts no run for it, and a run
    that has started goes on. `cancel` asks Azure ML to cancel the run.
    """
    body = read_body(ActionBody, read_body_object(call.request.body))
    action, by = call.request.params["action"], call.caller.name
    match action:
        case "replay":
            after = replay(call.services, call.submission, confirmed=body.confirm, by=by)
        case "resume":
            after = resume(call.services, call.submission, by=by)
        case "drop":
            after = drop(call.services, call.submission, by=by)
        case "cancel":
            after = cancel(call.services, call.submission, by=by)
        case _:
            raise NotFound(
                f"found the action {cut(action)}; expected replay, resume, cancel or drop"
            )
    return Reply(status=200, content=view_submission(after, call.services.config.workspace))


@route(
    "preview",
    "POST",
    "v1/preview",
    roles=READERS,
    bodies=(PreviewBody,),
    body_required=True,
    answers={200: PreviewPageView},
    problems=(400, 404, 413, 503),
)
def preview(call: RouteCall) -> Reply:
    """Show the effect of a blob, a time or a request on each trigger.

    A preview claims, records and sends nothing. For each trigger it has the body that the app would send, or the first
    condition that fails and the event's value.
    """
    body = read_body(PreviewBody, read_body_object(call.request.body))
    check_preview(body)
    services = call.services
    triggers = list(services.config.triggers.values())
    if body.trigger is not None:
        triggers = [find_trigger(services, body.trigger)]
    after = _read_trigger_cursor(call, body.cursor)
    if after is not None:
        triggers = triggers[triggers.index(find_trigger(services, after)) + 1 :]
    shown, now = triggers[: body.limit], services.clock()
    subjects = [(one, subject_for(services.config, one, body, now=now)) for one in shown]
    page = PreviewPageView(
        triggers=[view_preview(one) for one in preview_triggers(services, subjects)],
        cursor=write_cursor(f"trigger:{shown[-1].name}") if len(triggers) > len(shown) else None,
    )
    return Reply(status=200, content=page.model_dump(mode="json"))


@route(
    "status",
    "GET",
    "status/{id}/{status_token}",
    roles=NO_ROLE,
    key=False,
    query=None,
    answers=dict.fromkeys((200, 202, 409, 422, 424, 502), StatusView),
    answer_headers={202: ("Retry-After",)},
    problems=(404, 503),
)
def status(call: RouteCall) -> Reply:
    """Show a submission's outcome to a caller without a key.

    The URL is the `Location` of `submit`. It holds a random token, which opens this one submission.
    """
    given = call.request.params["status_token"]
    found = None
    if SUBMISSION_ID.fullmatch(call.submission):
        found = call.services.ledger.submissions.get(call.submission)
    known = found.status_token if found is not None else None
    # Compared in constant time, also if there is no submission, so that the time tells a caller nothing.
    same = hmac.compare_digest(given.encode(), (known or "").encode())
    if found is None or known is None or not same:
        raise NotFound("the URL leads to no submission; use the Location of the submit reply")
    return bare_status(found, now=call.services.clock())


@route(
    "health",
    "GET",
    "health",
    roles=NO_ROLE,
    key=False,
    query=None,
    answers={200: HealthView, 503: HealthView},
)
def health(call: RouteCall) -> Reply:
    """Show whether the ledger answers, and the time and the counts of the last tick.

    The route needs no key, so that monitors can call it.
    """
    file = call.services.config.digest
    try:
        tick = call.services.ledger.tick.read()
    except Unavailable:
        log_decision(
            logger,
            Action.HEALTH_FAILED,
            "the ledger does not answer",
            level=logging.ERROR,
            exc_info=True,
        )
        view = HealthView(
            ledger="unavailable", last_tick=None, dead=None, held=None, version=VERSION, file=file
        )
        return Reply(status=503, content=view.model_dump(mode="json"))
    last = print_instant(tick.last) if tick.last else None
    view = HealthView(
        ledger="ok", last_tick=last, dead=tick.dead, held=tick.held, version=VERSION, file=file
    )
    return Reply(status=200, content=view.model_dump(mode="json"))


def _read_trigger_cursor(call: RouteCall, cursor: str | None) -> str | None:
    """Return the name of the last trigger on the previous page, or None for the first page.

    Raises:
        InvalidRequest: The cursor is not one that this app wrote.
        NotFound: The triggers file no longer has the trigger.
    """
    key = read_cursor(cursor, _TRIGGER_CURSOR)
    return find_trigger(call.services, key.removeprefix("trigger:")).name if key else None


def _sibling_url(url: str, path: str) -> str:
    """Return the URL of another resource of this API, with the host and the prefix that the caller used."""
    parts = urlsplit(url)
    prefix = parts.path[: parts.path.lower().find("/v1/")]
    return f"{parts.scheme}://{parts.netloc}{prefix}/{path}"
