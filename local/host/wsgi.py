"""A WSGI application around the app's HTTP functions and the local host's router, for test tools in this process.

Routes, keys and answers are those of the local host (`local.host.http`). Only the runtime between the host and the
functions is left out: the functions are called directly.
"""

from __future__ import annotations

import importlib
import io
import json
import sys
from collections.abc import Iterable, Mapping
from email.message import Message
from http import HTTPStatus
from typing import Any, cast
from unittest import mock
from urllib.parse import quote

import azure.functions as func

from local.host.blobs import BlobQueue
from local.host.http import HttpSide
from local.host.routes import Keys, read_routes
from local.host.runtime import Function, HttpAnswer, Result, Runtime
from local.standins.http_server import MAX_BODY_BYTES, IncomingRequest
from shared.app import App

HTTP_MODULE = "http_trigger"


class InProcessRuntime:
    """The part of a runtime that `HttpSide` needs. It calls the functions directly.

    Args:
        app: The app that the functions use.
    """

    def __init__(self, app: App) -> None:
        with mock.patch("shared.app.load", return_value=app), mock.patch.dict(sys.modules):
            sys.modules.pop(HTTP_MODULE, None)
            blueprint = importlib.import_module(HTTP_MODULE).blueprint
        functions = func.FunctionApp()
        functions.register_functions(blueprint)
        built = {str(one.get_function_name()): one for one in functions.get_functions()}
        self._called = {name: one.get_user_function() for name, one in built.items()}
        self.functions = {
            name: Function(
                name=name, id=name, raw_bindings=tuple(map(json.loads, one.get_raw_bindings()))
            )
            for name, one in built.items()
        }

    def invoke_http(
        self,
        name: str,
        *,
        method: str,
        url: str,
        headers: Mapping[str, str],
        params: Mapping[str, str],
        query: Mapping[str, str],
        body: bytes,
        invocation_id: str,  # noqa: ARG002 — the runtime's signature
    ) -> Result:
        """Call an HTTP function. Its exceptions are not caught, so that a test sees them."""
        answer = self._called[name](
            func.HttpRequest(
                method, url, headers=headers, params=query, route_params=params, body=body
            )
        )
        return Result(
            ok=True,
            http=HttpAnswer(
                status=answer.status_code,
                headers={"Content-Type": answer.mimetype, **answer.headers},
                body=answer.get_body(),
            ),
        )


class WsgiApp:
    """A WSGI application around an app's HTTP functions.

    Args:
        app: The app.
        keys: The host's keys. If there are none, every call is allowed.
    """

    def __init__(self, app: App, *, keys: Keys | None = None) -> None:
        runtime = InProcessRuntime(app)
        self.functions = runtime.functions
        """The HTTP functions by name, with their bindings."""
        self._side = HttpSide(
            cast("Runtime", runtime),
            routes=read_routes(self.functions.values(), prefix="api"),
            keys=keys or Keys(),
            blobs=cast("BlobQueue", None),  # no route of the app uses it
            run_timer=lambda _name: None,
        )

    def __call__(self, environ: Mapping[str, Any], start_response: Any) -> Iterable[bytes]:  # noqa: ANN401 — PEP 3333
        """Answer a request (PEP 3333)."""
        answer = self._side.handle(_read(environ))
        try:
            phrase = HTTPStatus(answer.status).phrase
        except ValueError:
            phrase = "Unknown"
        start_response(f"{answer.status} {phrase}", list(answer.headers.items()))
        return [answer.body]


def _read(environ: Mapping[str, Any]) -> IncomingRequest:
    headers = Message()
    for name, value in environ.items():
        if name.startswith("HTTP_"):
            headers[name.removeprefix("HTTP_").replace("_", "-").lower()] = value
    # PEP 3333 gives the decoded path only, but werkzeug's client also gives the path as it was sent.
    path = environ.get("REQUEST_URI") or quote(environ["PATH_INFO"].encode("latin-1"))
    query = environ.get("QUERY_STRING", "")
    target = f"{path.partition('?')[0]}?{query}" if query else path
    stream: io.BufferedIOBase = environ["wsgi.input"]
    length = min(int(environ.get("CONTENT_LENGTH") or 0), MAX_BODY_BYTES)
    return IncomingRequest(
        method=environ["REQUEST_METHOD"],
        target=target,
        headers=headers,
        body=stream.read(length) if length else b"",
        base_url=f"{environ['wsgi.url_scheme']}://{environ.get('HTTP_HOST', 'localhost')}",
    )
