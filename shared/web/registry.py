"""The route registry: each handler declares its route once, with the `route` decorator.

`http_trigger` registers one Azure function for each entry, and the OpenAPI document is generated from the entries.
An entry checks the caller's role and the query's names, calls its handler, and turns this app's errors into problems
(RFC 9457). Any other exception is a bug: the host answers it with 500 and without details.
"""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from shared.config.templates.names import KEY_QUERY_NAMES
from shared.core.errors import (
    InvalidRequest,
    LedgerError,
    LedgerUnavailable,
    Problem,
    RenderError,
    RequestError,
    Unavailable,
)
from shared.core.suggestions import did_you_mean
from shared.core.telemetry import Action, log_decision
from shared.engine.services import Services
from shared.web.callers import Caller, Role, read_caller
from shared.web.exchange import Reply, Request
from shared.web.problems import cut, error_problem, problem

logger = logging.getLogger(__name__)

SUBMISSION_ID = re.compile(r"[0-9a-f]{32}")
_REQUEST_ID = re.compile(r"[0-9A-Za-z-]{1,64}")

type Method = Literal["GET", "POST", "PATCH"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The part of the app that routes work on."""

    services: Services
    """The app's parts."""
    roles: bool = False
    """Whether callers need a role in addition to a key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteCall:
    """A request whose caller and query names are checked."""

    services: Services
    """The app's parts."""
    request: Request
    """The decoded request."""
    caller: Caller
    """The caller. It has no name if roles are off."""
    id: str
    """The caller's `x-ms-client-request-id`, or a new id."""

    @property
    def trigger(self) -> str:
        """The trigger's name in the path."""
        return self.request.params["name"]

    @property
    def submission(self) -> str:
        """The submission's id in the path."""
        return self.request.params["id"]


type RouteHandler = Callable[[RouteCall], Reply]


# Compared by identity: an entry holds mappings, which have no hash.
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RouteEntry:
    """A route: its declaration, and the wrapper around its handler."""

    function: str
    """Name of the Azure function and of the OpenAPI operation."""
    method: Method
    """The HTTP method."""
    path: str
    """The path below the host's prefix, without a leading slash: `v1/triggers/{name}`.

    In every route, `{name}` is a trigger's name and `{id}` is a submission's id.
    """
    handler: RouteHandler
    """The function that answers. Its docstring is the summary and the description in the OpenAPI document."""
    roles: tuple[Role, ...]
    """Roles that may call the route, if roles are on. Empty if no role is needed."""
    key: bool = True
    """Whether the host requires a function key."""
    query: tuple[str, ...] | None = ()
    """Names that the query may contain. None if the route accepts any query."""
    headers: tuple[str, ...] = ()
    """Request headers that the OpenAPI document describes."""
    bodies: tuple[type[BaseModel], ...] = ()
    """Models that the request's body may have. Empty if the route reads no body."""
    body_required: bool = False
    """Whether a request without a body is invalid."""
    answers: Mapping[int, type[BaseModel] | None] = field(default_factory=dict)
    """Model of the reply's body, by status. None is any JSON object.

    A route without models, such as a page, is left out of the OpenAPI document.
    """
    answer_headers: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """Headers of the reply that the OpenAPI document describes, by status."""
    problems: tuple[int, ...] = ()
    """Statuses of problem replies. The document adds 401 and 403 to each route with a key."""

    def __call__(self, api: Api, request: Request) -> Reply:
        """Answer a request: with the handler's reply, or with a problem for an error of this app."""
        request_id = _request_id(request)
        about: dict[str, Any] = {"request_id": request_id, **_path_names(api, request)}
        try:
            call = RouteCall(
                services=api.services,
                request=request,
                caller=self._check_caller(api, request),
                id=request_id,
            )
            self._check_query(request.query)
            return self.handler(call)
        except RequestError as error:
            message = f"a call is refused: {error.title}: {error}"
            log_decision(logger, Action.CALL_REFUSED, message, {"status": error.status, **about})
            return error_problem(error, **about)
        except RenderError as error:
            return problem(422, "Values cannot be rendered", str(error), **about)
        except (Unavailable, LedgerError) as error:
            log_decision(
                logger,
                Action.CALL_FAILED,
                f"a call failed: {error}",
                about,
                level=logging.ERROR,
                exc_info=True,
            )
            # The error repeats the storage service's answer, which is for the log and not for the caller.
            unavailable = isinstance(error, LedgerUnavailable)
            detail = "the ledger did not answer; retry later" if unavailable else str(error)
            return problem(503, "Service unavailable", detail, **about)

    def _check_caller(self, api: Api, request: Request) -> Caller:
        """Return the caller, whose role is checked if roles are on.

        Raises:
            NotSignedIn: The request has no signed-in caller.
            MissingRole: The caller has none of the route's roles.
        """
        if not api.roles or not self.roles:
            return Caller()
        caller = read_caller(request.headers)
        caller.require(self.roles)
        return caller

    def _check_query(self, given: Mapping[str, str]) -> None:
        """Check that the route knows every query name.

        Raises:
            InvalidRequest: The query has unknown names.
        """
        if self.query is None:
            return
        # The host reads the names of its keys in any letter case.
        others = given.keys() - set(self.query)
        unknown = sorted(name for name in others if name.lower() not in KEY_QUERY_NAMES)
        if unknown:
            allowed = ", ".join(sorted(self.query)) or "none"
            raise InvalidRequest(
                "the query has unknown parameters",
                problems=[
                    Problem(
                        where=cut(name),
                        message=f"unknown query parameter{did_you_mean(name, self.query)}; allowed: {allowed}",
                    )
                    for name in unknown
                ],
            )


class RouteRegistry:
    """Route entries in the order of their declaration, which is the order in which modules with routes are imported."""

    def __init__(self) -> None:
        self._entries: dict[str, RouteEntry] = {}

    def __iter__(self) -> Iterator[RouteEntry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, function: str) -> RouteEntry:
        return self._entries[function]

    def route(
        self,
        function: str,
        method: Method,
        path: str,
        *,
        roles: tuple[Role, ...],
        key: bool = True,
        query: tuple[str, ...] | None = (),
        headers: tuple[str, ...] = (),
        bodies: tuple[type[BaseModel], ...] = (),
        body_required: bool = False,
        answers: Mapping[int, type[BaseModel] | None] | None = None,
        answer_headers: Mapping[int, tuple[str, ...]] | None = None,
        problems: tuple[int, ...] = (),
    ) -> Callable[[RouteHandler], RouteEntry]:
        """Declare a handler's route.

        The parameters are the fields of `RouteEntry`. The decorated name becomes the entry, which is called with an
        `Api` and a `Request`.

        Raises:
            ValueError: Another handler has the function name, or the method and the path.
        """

        def declare(handler: RouteHandler) -> RouteEntry:
            entry = RouteEntry(
                function=function,
                method=method,
                path=path,
                handler=handler,
                roles=roles,
                key=key,
                query=query,
                headers=headers,
                bodies=bodies,
                body_required=body_required,
                answers=answers or {},
                answer_headers=answer_headers or {},
                problems=problems,
            )
            self._add(entry)
            return entry

        return declare

    def _add(self, entry: RouteEntry) -> None:
        for other in self:
            if other.function == entry.function:
                raise ValueError(f"found two routes with the function name {entry.function}")
            if (other.method, other.path) == (entry.method, entry.path):
                raise ValueError(f"found two routes for {entry.method} {entry.path}")
        self._entries[entry.function] = entry


ROUTES = RouteRegistry()
"""Every route of the app. `shared.app` imports the modules that declare routes."""

route = ROUTES.route


def _request_id(request: Request) -> str:
    given = request.headers.get("x-ms-client-request-id", "")
    # The id goes into logs and replies, so an id that could break a line is replaced.
    return given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())


def _path_names(api: Api, request: Request) -> dict[str, str]:
    """Return the trigger and the submission in the path, if they are names that can exist."""
    name, identifier = request.params.get("name", ""), request.params.get("id", "")
    names = {}
    if name in api.services.config.triggers:
        names["trigger"] = name
    if SUBMISSION_ID.fullmatch(identifier):
        names["submission"] = identifier
    return names
