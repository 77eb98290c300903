"""A stand-in for an Azure Machine Learning workspace: published pipelines and run history.

It accepts a submit request only with a token that the identity stand-in signed for the right audience. The body must
be one that the SDK's own models can read (`submit_body`). It stores runs (`runs`), answers searches (`search`) and can
return any fault (`faults`). It records all requests, without their tokens.

As a program, `python -m local.standins.workspace`, it prints one JSON line when it is ready. The control plane under
`/control` (`control`) needs the token from that line. In the same process, the attributes do the same.
"""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import ssl
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from local.closeable import Closeable
from local.standins.http_server import Answer, HttpServer, IncomingRequest, Misbehaviour
from local.standins.tokens import BadToken, read_token
from local.standins.workspace import control
from local.standins.workspace.faults import FaultPlan, WorkspaceFault, WorkspaceRoute, error_body
from local.standins.workspace.runs import EnumStyle, Progress, RunStatus, RunStore, StoredRun
from local.standins.workspace.search import BadQuery, Dto, SearchMode, SearchVisibility, search
from local.standins.workspace.submit_body import InvalidBody, read_submission

AUDIENCE = "https://management.azure.com"
PIPELINE_ID = "6a1f0f4c-8d53-4f4e-9f2f-0d9a4f3b2c11"
SCOPE_PATH = (
    "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/local"
    "/providers/Microsoft.MachineLearningServices/workspaces/local"
)
CONTENT_TYPES = {"application/json", "application/json-patch+json"}

_WORKSPACE = (
    r"/subscriptions/[^/]+/resourceGroups/[^/]+"
    r"/providers/Microsoft\.MachineLearningServices/workspaces/[^/]+"
)
# `/api/v1.0` is an older alias of the same service.
_PIPELINES = rf"/(?:pipelines|api)/v1\.0{_WORKSPACE}/PipelineRuns"
_HISTORY = rf"/history/v1\.0{_WORKSPACE}"
_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A recorded request."""

    method: str
    """The method."""
    path: str
    """The path and query as they were sent."""
    headers: dict[str, str]
    """The headers with lower-case names, without the token and cookies."""
    body: Any
    """The body: a JSON value, or text if it is not JSON."""
    time: datetime
    """When the request came."""


class WorkspaceStandIn(Closeable):
    """A running workspace, from construction until `close`."""

    def __init__(
        self,
        *,
        secret: bytes,
        audience: str = AUDIENCE,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        pipelines: Collection[str] | None = None,
        progress: Progress | None = None,
        enum_style: EnumStyle = EnumStyle.NAME,
        tls: ssl.SSLContext | None = None,
        token_clock: Callable[[], datetime] | None = None,
        port: int = 0,
    ) -> None:
        """Start the workspace.

        Args:
            secret: The secret that signs valid tokens. It is the identity stand-in's.
            audience: The audience of valid tokens.
            clock: Returns the current time (timezone-aware).
            pipelines: The ids of the published pipelines that exist. None accepts every GUID.
            progress: Changes the status of runs with time. None leaves that to `runs.advance`.
            enum_style: The format of enums.
            tls: The server's TLS context. None means plain HTTP.
            token_clock: The clock by which tokens expire. None means `clock`. A test with a shifted clock needs the
                real time here, because azure-identity uses that.
            port: The port. 0 takes a free one.
        """
        self._secret = secret
        self._audience = audience.rstrip("/")
        self._clock = clock
        self._token_clock = token_clock or clock
        self._pipelines = pipelines
        self._enum_style = enum_style
        self._received: list[Received] = []
        self._lock = threading.Lock()
        self.disabled: set[str] = set()
        """The ids of pipelines that refuse to start. Tests can change it."""
        self.search_visibility = SearchVisibility()
        """Which runs searches show. Tests can set it."""
        self.faults = FaultPlan()
        """The faults of the next requests."""
        self.runs = RunStore(clock=clock, progress=progress)
        """The runs."""
        self.control_token = secrets.token_urlsafe(24)
        """The token of the control plane."""
        self._routes: list[tuple[str, re.Pattern[str], Callable[..., Answer | Misbehaviour]]] = [
            ("POST", re.compile(_PIPELINES + r"/PipelineSubmit/([^/]+)"), self._submit),
            ("GET", re.compile(_PIPELINES + r"/Pipeline/([^/]+)"), self._list_runs),
            ("GET", re.compile(_PIPELINES + r"/([^/]+)"), self._show_run),
            ("DELETE", re.compile(_PIPELINES + r"/([^/]+)/Execution"), self._cancel_run),
            ("POST", re.compile(_HISTORY + r"/experiments/([^/]+)/runs:query"), self._search),
            ("GET", re.compile(_HISTORY + r"/runs/([^/]+)"), self._show_history),
        ]
        self._server = HttpServer(self._handle, port=port, tls=tls)
        self.url = self._server.url

    def submit_url(self, pipeline_id: str = PIPELINE_ID) -> str:
        """Return the REST endpoint of a published pipeline."""
        runs = f"{self.url}/pipelines/v1.0{SCOPE_PATH}/PipelineRuns"
        return f"{runs}/PipelineSubmit/{quote(pipeline_id)}"

    @property
    def received(self) -> list[Received]:
        """All requests, oldest first, except those to the control plane."""
        with self._lock:
            return list(self._received)

    @property
    def submitted(self) -> list[dict[str, Any]]:
        """The bodies of all runs, oldest first."""
        return [run.body for run in self.runs.all()]

    def reset(self) -> None:
        """Remove all requests, runs and faults, and show every run in searches again."""
        with self._lock:
            self._received.clear()
        self.runs.clear()
        self.faults.clear()
        self.disabled.clear()
        self.search_visibility = SearchVisibility()

    def close(self) -> None:
        """Stop the workspace. Idempotent."""
        self._server.close()

    def _handle(self, request: IncomingRequest) -> Answer | Misbehaviour:
        if request.path.startswith("/control/"):
            return control.handle(self, request)
        self._record(request)
        if (problem := self._check_token(request)) is not None:
            return self._refuse(request, 401, "Unauthorized", problem)
        for method, pattern, serve in self._routes:
            if method == request.method and (found := pattern.fullmatch(request.path)):
                return serve(request, unquote(found.group(1)))
        message = f"No HTTP resource matches {request.method} '{request.path}'"
        return self._refuse(request, 404, "NotFound", message)

    def _record(self, request: IncomingRequest) -> None:
        body: Any = request.body.decode("utf-8", "replace")
        with contextlib.suppress(ValueError):  # a body that is not JSON stays text
            body = json.loads(body)
        hidden = {"authorization", "cookie"}
        headers = {
            name.lower(): value
            for name, value in request.headers.items()
            if name.lower() not in hidden
        }
        received = Received(
            method=request.method,
            path=request.target,
            headers=headers,
            body=body,
            time=self._clock(),
        )
        with self._lock:
            self._received.append(received)

    def _check_token(self, request: IncomingRequest) -> str | None:
        kind, _, token = request.headers.get("Authorization", "").partition(" ")
        if kind.lower() != "bearer" or not token:
            return "no bearer token"
        try:
            claims = read_token(token.strip(), secret=self._secret)
        except BadToken as error:
            return f"the token is {error}"
        if str(claims.get("aud", "")).rstrip("/") != self._audience:
            return f"the token is for {claims.get('aud')}, not for {self._audience}"
        if float(claims.get("exp", 0)) <= self._token_clock().timestamp():
            return "the token has expired"
        return None

    def _submit(self, request: IncomingRequest, pipeline_id: str) -> Answer | Misbehaviour:
        query = parse_qs(urlsplit(request.target).query)
        if unknown := sorted(set(query) - {"parentRunId"}):
            return self._refuse(request, 400, "UserError", f"unknown query: {', '.join(unknown)}")
        if request.headers.get_content_type() not in CONTENT_TYPES:
            return self._refuse(
                request,
                415,
                "UserError",
                f"Content-Type must be {' or '.join(sorted(CONTENT_TYPES))}",
            )
        known = _GUID.fullmatch(pipeline_id) and (
            self._pipelines is None or pipeline_id in self._pipelines
        )
        if not known:
            return self._refuse(
                request, 404, "UserError", f"There is no published pipeline {pipeline_id}"
            )
        if pipeline_id in self.disabled:
            return self._refuse(request, 400, "UserError", f"Pipeline {pipeline_id} is disabled")
        try:
            body = read_submission(request.body)
        except InvalidBody as error:
            value = error_body(
                400, "UserError", f"The body is not valid: {error}", details=error.problems
            )
            return Answer.json(value, status=400)
        parent = query.get("parentRunId", [None])[0]

        def accept() -> Answer:
            run = self.runs.add(pipeline_id, body, parent_run_id=parent)
            return Answer.json(run.to_entity(self._enum_style))

        return _with_fault(self.faults.take(WorkspaceRoute.SUBMIT, request), accept)

    def _list_runs(self, request: IncomingRequest, pipeline_id: str) -> Answer | Misbehaviour:
        def show() -> Answer:
            runs = self.runs.of_pipeline(pipeline_id)
            shown = [run for run in runs if self._is_shown(run, asked=run.experiment)]
            return Answer.json([run.to_entity(self._enum_style) for run in reversed(shown)])

        return _with_fault(self.faults.take(WorkspaceRoute.SEARCH, request), show)

    def _show_run(self, request: IncomingRequest, run_id: str) -> Answer | Misbehaviour:
        def show() -> Answer:
            run = self.runs.get(run_id)
            if run is None:
                return self._refuse(request, 404, "UserError", f"There is no run {run_id}")
            return Answer.json(run.to_entity(self._enum_style))

        return _with_fault(self.faults.take(WorkspaceRoute.STATUS, request), show)

    def _cancel_run(self, request: IncomingRequest, run_id: str) -> Answer:
        if self.runs.get(run_id) is None:
            return self._refuse(request, 404, "UserError", f"There is no run {run_id}")
        self.runs.advance(run_id, to=RunStatus.CANCELED)
        return Answer.json({})

    def _show_history(self, request: IncomingRequest, run_id: str) -> Answer | Misbehaviour:
        def show() -> Answer:
            run = self.runs.get(run_id)
            if run is None:
                return self._refuse(request, 404, "UserError", f"There is no run {run_id}")
            return Answer.json(run.to_dto())

        return _with_fault(self.faults.take(WorkspaceRoute.STATUS, request), show)

    def _search(self, request: IncomingRequest, experiment: str) -> Answer | Misbehaviour:
        def show() -> Answer:
            runs = self.runs.of_experiment(experiment)
            if not runs:
                return self._refuse(
                    request, 404, "UserError", f"There is no experiment {experiment}"
                )
            if self.search_visibility.mode is SearchMode.OTHER_EXPERIMENTS:
                runs = self.runs.all()
            shown: list[Dto] = [
                run.to_dto() for run in runs if self._is_shown(run, asked=experiment)
            ]
            try:
                return Answer.json(search(request.body, shown))
            except BadQuery as error:
                return self._refuse(request, 400, "UserError", str(error))

        return _with_fault(self.faults.take(WorkspaceRoute.SEARCH, request), show)

    def _is_shown(self, run: StoredRun, *, asked: str) -> bool:
        return self.search_visibility.shows(
            experiment=run.experiment, asked=asked, created=run.created, now=self._clock()
        )

    @staticmethod
    def _refuse(request: IncomingRequest, status: int, code: str, message: str) -> Answer:
        if not request.path.startswith("/history/"):
            return Answer.json(error_body(status, code, message), status=status)
        error = {
            "error": {"code": code, "message": message, "details": [], "innerError": None},
            "correlation": {"operation": f"local-{status}", "request": "local"},
            "environment": "local",
            "location": "local",
            "time": datetime.now(UTC).isoformat(),
            "componentName": "run-history",
        }
        return Answer.json(error, status=status)


def _with_fault(fault: WorkspaceFault | None, show: Callable[[], Answer]) -> Answer | Misbehaviour:
    return show() if fault is None else fault.apply(show)
