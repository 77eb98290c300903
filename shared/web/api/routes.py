"""The routes: each takes what the host decoded and gives what the host encodes."""

from __future__ import annotations

import hmac
import logging
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from shared.clients.transport import VERSION
from shared.core.decisions import RUN_NOW
from shared.core.errors import (
    LedgerError,
    LedgerUnavailable,
    NotFound,
    RenderError,
    RequestError,
    Unavailable,
)
from shared.core.events import Ignored, ScheduleEvent
from shared.core.submissions import Decision, State
from shared.core.times import print_instant
from shared.engine.services import Services
from shared.operations.listing import SubmissionFilter, read_cursor, write_cursor
from shared.operations.listing import list_submissions as list_page
from shared.operations.preview import preview as preview_triggers
from shared.operations.submissions import cancel, drop, replay, start
from shared.operations.submissions import get_submission as get_submission_row
from shared.operations.triggers import get_trigger as find_trigger
from shared.operations.triggers import occurrence, override, report_trigger, report_triggers
from shared.web.api.models import (
    ActionBody,
    HealthView,
    OverrideBody,
    PreviewBody,
    PreviewPage,
    SubmissionPage,
    TriggerPage,
)
from shared.web.api.previews import check_preview, subject_for
from shared.web.api.queries import Query
from shared.web.api.requests import read_body, read_event, read_object, read_run_now
from shared.web.api.results import bare_status, failure, result, status_of, wait
from shared.web.api.views import (
    problem,
    view_error,
    view_line,
    view_preview,
    view_submission,
    view_trigger,
)
from shared.web.callers import Caller, Role, read_caller
from shared.web.exchange import Reply, Request

logger = logging.getLogger(__name__)

_SUBMISSION_ID = re.compile(r"[0-9a-f]{32}")
_REQUEST_ID = re.compile(r"[0-9A-Za-z-]{1,64}")
_TRIGGER_KEY = re.compile(r"trigger:.{1,260}", re.DOTALL)

READERS = (Role.READER, Role.OPERATOR)
SUBMITTERS = (Role.SUBMITTER, Role.OPERATOR)
OPERATORS = (Role.OPERATOR,)
ANYBODY = (Role.SUBMITTER, Role.READER, Role.OPERATOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """What the routes work on.

    Attributes:
        services: The app's parts.
        roles: Whether callers need a role besides a key.
    """

    services: Services
    roles: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request, once it is known who makes it.

    Attributes:
        services: The app's parts.
        request: What the host decoded.
        caller: Who calls.
        id: The caller's `x-ms-client-request-id`, or a new one.
    """

    services: Services
    request: Request
    caller: Caller
    id: str

    def query(self, *allowed: str) -> Query:
        """Return the query, which may hold these names only."""
        return Query(self.request.query, allowed=frozenset(allowed))

    @property
    def trigger(self) -> str:
        """The trigger's name in the path."""
        return self.request.params["name"]

    @property
    def submission(self) -> str:
        """The submission's id in the path."""
        return self.request.params["id"]


ROLES: dict[str, tuple[Role, ...]] = {}
"""The roles of each route, by its function's name; none for those that anybody may call."""

type Route = Callable[[Api, Request], Reply]
type Handler = Callable[[Call], Reply]


def _route(*roles: Role) -> Callable[[Handler], Route]:
    """Make a route of a handler: who may call it, and our own errors as problems.

    Anything else is a bug, and the host answers 500 without details.
    """

    def decorate(handler: Handler) -> Route:
        ROLES[handler.__name__] = roles

        def answer(api: Api, request: Request) -> Reply:
            request_id = _request_id(request)
            about: dict[str, Any] = {"request_id": request_id, **_about(api, request)}
            try:
                caller = read_caller(request.headers) if api.roles and roles else Caller()
                if api.roles and roles:
                    caller.require(roles)
                call = Call(services=api.services, request=request, caller=caller, id=request_id)
                return handler(call)
            except RequestError as error:
                extra = {"action": "call_refused", "status": error.status, **about}
                logger.info("a call is refused: %s: %s", error.title, error, extra=extra)
                return view_error(error, **about)
            except RenderError as error:
                return problem(422, "Its values cannot be made", str(error), **about)
            except (Unavailable, LedgerError) as error:
                extra = {"action": "call_failed", **about}
                logger.exception("a call could not be served", extra=extra)
                lost = isinstance(error, LedgerUnavailable)
                said = "the ledger did not answer; try again" if lost else str(error)
                return problem(503, "Not available now", said, **about)

        answer.__name__, answer.__doc__ = handler.__name__, handler.__doc__
        return answer

    return decorate


@_route(*SUBMITTERS)
def submit(call: Call) -> Reply:
    """Start a trigger: 202 with the submission and its `Location`.

    An `http` trigger starts with each call. Another one starts with `"run_now": true`, and is the same submission as
    if the event had come by itself: a version of a blob, or an occurrence, that was started is not started again.
    """
    trigger = find_trigger(call.services, call.trigger)
    now = call.services.clock()
    asked = read_run_now(trigger, call.request, now=now)
    event = asked or read_event(call.services.config, trigger, call.request, now=now)
    if isinstance(event, ScheduleEvent):
        event = occurrence(call.services, event.trigger, event.time)
    action = RUN_NOW if asked else "submit"
    decision = Decision(time=now, action=action, by=call.caller.name)
    known = asked is not None or call.caller.name is not None
    started = start(call.services, event, decision=decision if known else None)
    if isinstance(started, Ignored):
        return problem(
            409,
            "Nothing was started",
            started.reason,
            request_id=call.id,
            trigger=call.trigger,
        )
    if started.state is State.DEAD:
        return failure(started, status_of(started), request_id=call.id)
    place = f"status/{started.id}/{started.status_token}"
    if started.status_token is None:
        place = f"v1/submissions/{started.id}"
    headers = {"Location": _beside(call.request.url, place), **wait(started, now)}
    content = view_submission(started, call.services.config.workspace)
    return Reply(status=202, content=content, headers=headers)


@_route(*READERS)
def list_triggers(call: Call) -> Reply:
    """List the triggers, in the order of the file."""
    query = call.query("limit", "cursor")
    limit = query.limit()
    reports = report_triggers(
        call.services, limit=limit + 1, after=_read_place(call, query.cursor())
    )
    shown, cursor = list(reports[:limit]), None
    if len(reports) > limit:
        cursor = write_cursor(f"trigger:{shown[-1].trigger.name}")
    page = TriggerPage(triggers=[view_trigger(report) for report in shown], cursor=cursor)
    return Reply(status=200, content=page.model_dump(mode="json"))


@_route(*READERS)
def get_trigger(call: Call) -> Reply:
    """Show a trigger: what it starts, whether it is enabled, what comes next and what came last."""
    call.query()
    view = view_trigger(report_trigger(call.services, call.trigger))
    return Reply(status=200, content=view.model_dump(mode="json"))


@_route(*OPERATORS)
def set_trigger(call: Call) -> Reply:
    """Enable or disable a trigger; `null` returns it to the file's value.

    It is in effect everywhere within a minute. What comes while it is disabled is not made up for later.
    """
    call.query()
    body = read_body(OverrideBody, read_object(call.request))
    report = override(call.services, call.trigger, body.enabled, by=call.caller.name)
    return Reply(status=200, content=view_trigger(report).model_dump(mode="json"))


@_route(*READERS)
def list_submissions(call: Call) -> Reply:
    """List submissions, newest first; `dead` and `held` ones, straight from their index, by id."""
    query = call.query("trigger", "state", "since", "limit", "cursor")
    wanted = SubmissionFilter(
        trigger=query.text("trigger"), state=query.state(), since=query.instant("since")
    )
    listing = list_page(call.services.ledger, wanted, limit=query.limit(), cursor=query.cursor())
    workspace = call.services.config.workspace
    page = SubmissionPage(
        submissions=[view_line(one, workspace) for one in listing.submissions],
        cursor=listing.cursor,
        unreadable=list(listing.unreadable),
    )
    return Reply(status=200, content=page.model_dump(mode="json"))


@_route(*READERS)
def get_submission(call: Call) -> Reply:
    """Show a submission: 200 whatever its state."""
    call.query()
    found = get_submission_row(call.services, call.submission)
    return Reply(status=200, content=view_submission(found, call.services.config.workspace))


@_route(*ANYBODY)
def get_result(call: Call) -> Reply:
    """Say what became of a submission: 202 until it is decided, 200 when its run succeeded, else a problem."""
    call.query()
    found = get_submission_row(call.services, call.submission)
    workspace = call.services.config.workspace
    return result(found, workspace, now=call.services.clock(), request_id=call.id)


@_route(*OPERATORS)
def act_on_submission(call: Call) -> Reply:
    """Replay, cancel or drop a submission, and show it as it stands then.

    `replay` starts its run again, from the stored event with today's file; `drop` ends a dead or held one without a
    run; `cancel` asks Azure ML to end its run.
    """
    call.query()
    body = read_body(ActionBody, read_object(call.request))
    by = call.caller.name
    match call.request.params["action"]:
        case "replay":
            after = replay(call.services, call.submission, confirmed=body.confirm, by=by)
        case "drop":
            after = drop(call.services, call.submission, by=by)
        case "cancel":
            after = cancel(call.services, call.submission, by=by)
        case _:
            raise NotFound("a submission can be replayed, dropped or canceled: nothing else")
    return Reply(status=200, content=view_submission(after, call.services.config.workspace))


@_route(*READERS)
def preview(call: Call) -> Reply:
    """Say what a blob, a time or a request would start; nothing is claimed, recorded or sent.

    For each trigger: the body that would be sent, or the first condition that fails and its value.
    """
    call.query()
    body = read_body(PreviewBody, read_object(call.request))
    check_preview(body)
    services = call.services
    triggers = list(services.config.triggers.values())
    if body.trigger is not None:
        triggers = [find_trigger(services, body.trigger)]
    after = _read_place(call, body.cursor)
    if after is not None:
        triggers = triggers[triggers.index(find_trigger(services, after)) + 1 :]
    shown, now = triggers[: body.limit], services.clock()
    asked = [(one, subject_for(services.config, one, body, now=now)) for one in shown]
    page = PreviewPage(
        triggers=[view_preview(one) for one in preview_triggers(services, asked)],
        cursor=write_cursor(f"trigger:{shown[-1].name}") if len(triggers) > len(shown) else None,
    )
    return Reply(status=200, content=page.model_dump(mode="json"))


@_route(*ANYBODY)
def openapi(call: Call) -> Reply:
    """Give the OpenAPI 3.1 document of this API."""
    from shared.web.api.openapi import document

    call.query()
    return Reply(status=200, content=document())


@_route()
def status(call: Call) -> Reply:
    """Say how a submission stands, to whoever has its `Location`: no key is needed, and nothing else is told."""
    given = call.request.params["status_token"]
    found = None
    if _SUBMISSION_ID.fullmatch(call.submission):
        found = call.services.ledger.submissions.get(call.submission)
    known = found.status_token if found is not None else None
    same = hmac.compare_digest(given.encode(), (known or "").encode())
    if found is None or known is None or not same:
        raise NotFound("there is nothing at this address")
    return bare_status(found, now=call.services.clock())


@_route()
def health(call: Call) -> Reply:
    """Say whether the ledger answers, when the last tick was and what it counted: anybody may ask."""
    file = call.services.config.digest
    try:
        tick = call.services.ledger.tick.read()
    except Unavailable:
        logger.exception("the ledger does not answer", extra={"action": "health_failed"})
        view = HealthView(
            ledger="unavailable", last_tick=None, dead=None, held=None, version=VERSION, file=file
        )
        return Reply(status=503, content=view.model_dump(mode="json"))
    last = print_instant(tick.last) if tick.last else None
    view = HealthView(
        ledger="ok", last_tick=last, dead=tick.dead, held=tick.held, version=VERSION, file=file
    )
    return Reply(status=200, content=view.model_dump(mode="json"))


def _read_place(call: Call, cursor: str | None) -> str | None:
    """Return the name of the trigger that a cursor leads behind.

    Raises:
        InvalidRequest: It is none of ours.
        NotFound: The file has no such trigger any more.
    """
    key = read_cursor(cursor, _TRIGGER_KEY)
    return find_trigger(call.services, key.removeprefix("trigger:")).name if key else None


def _request_id(request: Request) -> str:
    given = request.headers.get("x-ms-client-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())


def _about(api: Api, request: Request) -> dict[str, str]:
    """Return the trigger and the submission that a path names, as far as such names exist."""
    name, identifier = request.params.get("name", ""), request.params.get("id", "")
    about = {}
    if name in api.services.config.triggers:
        about["trigger"] = name
    if _SUBMISSION_ID.fullmatch(identifier):
        about["submission"] = identifier
    return about


def _beside(url: str, path: str) -> str:
    """Return the address of another resource of this API, under the same host and prefix."""
    parts = urlsplit(url)
    prefix = parts.path[: parts.path.lower().find("/v1/")]
    return f"{parts.scheme}://{parts.netloc}{prefix}/{path}"
