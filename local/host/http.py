"""The host's HTTP side: the app's routes, the admin API, and the webhook for Event Grid's blob notifications."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from local.host.blobs import Blob, BlobQueue
from local.host.log import logger, run_logged
from local.host.routes import BLOBS_EXTENSION, AuthLevel, HostRoute, Keys
from local.host.runtime import Function, HttpAnswer, Result, Runtime
from local.standins.http_server import Answer, IncomingRequest

FUNCTIONS = "/admin/functions"
WEBHOOK = "/runtime/webhooks/blobs"
WEBHOOK_PREFIX = "Host.Functions."
BLOB_EVENTS = {"Microsoft.Storage.BlobCreated", "Microsoft.Storage.BlobRenamed"}
VALIDATION = "Microsoft.EventGrid.SubscriptionValidationEvent"
HOP_HEADERS = {"content-length", "connection", "transfer-encoding"}


class HttpSide:
    """The handler of all requests to the host.

    Args:
        runtime: The runtime that calls the functions.
        routes: The routes of the app's HTTP functions, in load order.
        keys: The keys that callers need.
        blobs: Gets the blobs of notifications and of the admin API.
        run_timer: Calls a timer function.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        routes: list[HostRoute],
        keys: Keys,
        blobs: BlobQueue,
        run_timer: Callable[[str], None],
    ) -> None:
        self._runtime = runtime
        self._routes = routes
        self._keys = keys
        self._blobs = blobs
        self._run_timer = run_timer

    def handle(self, request: IncomingRequest) -> Answer:
        """Answer a request."""
        path = request.path
        if path.startswith("/admin/"):
            if not self._allowed(request, AuthLevel.ADMIN, ""):
                return Answer(status=401)
            return self._admin(request)
        if path == WEBHOOK:
            if not self._allowed(request, AuthLevel.FUNCTION, BLOBS_EXTENSION):
                return Answer(status=401)
            return self._webhook(request)
        for route in self._routes:
            params = route.match(request.method, path)
            if params is not None:
                if not self._allowed(request, route.level, route.function):
                    return Answer(status=401)
                return self._call(route, request, params)
        return Answer(status=404)

    def _allowed(self, request: IncomingRequest, level: AuthLevel, name: str) -> bool:
        given = request.headers.get("x-functions-key") or request.query.get("code")
        return self._keys.allow(given, level=level, name=name)

    def _call(
        self, route: HostRoute, request: IncomingRequest, params: Mapping[str, str]
    ) -> Answer:
        headers = _join((name.lower(), value) for name, value in request.headers.items())
        query = _join(parse_qsl(urlsplit(request.target).query, keep_blank_values=True))

        def call(invocation_id: str) -> Result:
            return self._runtime.invoke_http(
                route.function,
                method=request.method,
                url=request.base_url + request.target,
                headers=headers,
                params=params,
                query=query,
                body=request.body,
                invocation_id=invocation_id,
            )

        result = run_logged(route.function, f"{request.method} {request.path}", call)
        if not result.ok:
            return Answer(status=500)  # the real host gives no reason either; the log has it
        answer = result.http or HttpAnswer(status=204)
        headers = {
            name: value for name, value in answer.headers.items() if name.lower() not in HOP_HEADERS
        }
        return Answer(status=answer.status, headers=headers, body=answer.body)

    def _admin(self, request: IncomingRequest) -> Answer:
        if request.method == "GET" and request.path == "/admin/host/status":
            value = {
                "id": "local",
                "state": "Running",
                "poison": [blob.__dict__ for blob in self._blobs.poison],
            }
            return Answer.json(value)
        functions = self._runtime.functions
        if request.method == "GET" and request.path == FUNCTIONS:
            return Answer.json([_describe(function) for function in functions.values()])
        name = request.path.removeprefix(FUNCTIONS + "/")
        if name not in functions:
            return Answer(status=404)
        function = functions[name]
        if request.method == "GET":
            return Answer.json(_describe(function))
        if request.method != "POST":
            return Answer(status=405)
        return self._start(function, request)

    def _start(self, function: Function, request: IncomingRequest) -> Answer:
        try:
            given = json.loads(request.body or b"{}").get("input") or ""
        except (ValueError, AttributeError):
            return Answer.json({"error": 'expected the body {"input": "…"}'}, status=400)
        if function.trigger_type == "timerTrigger":
            run = threading.Thread(target=self._run_timer, args=[function.name], name=function.name)
            run.start()
            return Answer(status=202)
        container, slash, name = str(given).partition("/")
        if function.trigger_type != "blobTrigger":
            return Answer.json(
                {"error": f"{function.name} is an HTTP function; call it by its own URL"},
                status=400,
            )
        if not slash or not name:
            return Answer.json({"error": "expected input to be <container>/<blob>"}, status=400)
        self._blobs.put(Blob(function=function.name, container=container, name=name))
        return Answer(status=202)

    def _webhook(self, request: IncomingRequest) -> Answer:
        name = request.query.get("functionName", "").removeprefix(WEBHOOK_PREFIX)
        function = self._runtime.functions.get(name)
        if function is None or function.trigger.get("source") != "EventGrid":
            return Answer(status=404)
        try:
            events = json.loads(request.body)
            for event in events:
                if event["eventType"] == VALIDATION:
                    return Answer.json({"validationResponse": event["data"]["validationCode"]})
            found = [_read_event(event) for event in events if event["eventType"] in BLOB_EVENTS]
        except (ValueError, KeyError, TypeError, AttributeError):
            return Answer.json({"error": "expected a list of Event Grid events"}, status=400)
        for blob in found:
            self._blobs.put(replace(blob, function=name))
        logger.info("Event Grid notified %s of %d blobs", name, len(found))
        return Answer(status=202)


def _read_event(event: Mapping[str, str]) -> Blob:
    # The subject holds the name as it is. The URL would have to be decoded, and with an emulator it also has the
    # account in its path.
    start = "/blobServices/default/containers/"
    if not event["subject"].startswith(start):
        raise ValueError(f"the subject does not begin with {start}")
    container, _, name = event["subject"].removeprefix(start).partition("/blobs/")
    return Blob(function="", container=container, name=name)


def _describe(function: Function) -> dict[str, object]:
    return {"name": function.name, "config": {"bindings": list(function.raw_bindings)}}


def _join(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    # The host joins repeated names with a comma before it passes them to a worker.
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return joined
