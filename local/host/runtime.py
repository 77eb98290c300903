"""The real `azure-functions-runtime`, driven in this process as the cloud's worker drives it.

The runtime is the library that indexes and invokes a Python v2-model app on Python 3.13 in Azure.
It talks in protobuf messages, but only through attributes, so plain objects do. Every invocation
takes `invocation_request`, the path that also decodes SDK-type bindings such as `BlobClient`.

One app a process: the runtime's registries are globals of its modules, and indexing changes
`sys.path` and the working directory.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import azure_functions_runtime as worker

from local.host.runtime_messages import PROTOS, Input, StatusResult, Typed


class AppFailed(Exception):
    """The app could not be indexed, so that no function of it can run; the message is the app's own.

    Attributes:
        trace: Where it happened.
    """

    def __init__(self, message: str, *, trace: str = "") -> None:
        self.trace = trace
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """An indexed function.

    Attributes:
        name: Its name.
        id: The runtime's id of it.
        raw_bindings: Its bindings as the worker reports them to the host, each as parsed JSON.
    """

    name: str
    id: str
    raw_bindings: tuple[Mapping[str, Any], ...]

    @property
    def trigger(self) -> Mapping[str, Any]:
        """The binding that starts it."""
        return next(item for item in self.raw_bindings if str(item["type"]).endswith("Trigger"))

    @property
    def trigger_type(self) -> str:
        """The trigger's type: `timerTrigger`, `httpTrigger`, `blobTrigger` and so on."""
        return str(self.trigger["type"])


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """What an HTTP function returned. Cookies are not carried: the runtime hands them over apart."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How an invocation ended.

    Attributes:
        ok: Whether the function returned.
        http: What it returned, for an HTTP function.
        error: The exception's type and text when it raised.
        trace: The exception's traceback.
    """

    ok: bool
    http: HttpAnswer | None = None
    error: str | None = None
    trace: str = ""


class Runtime:
    """An app, indexed and ready to be invoked from any thread, until `close`.

    Attributes:
        functions: By name, in load order.
    """

    def __init__(self, app: Path) -> None:
        """Index the app.

        Args:
            app: The directory of `function_app.py`. Settings must be in `os.environ` already.

        Raises:
            AppFailed: The import failed, or there is no app.
        """
        app = app.resolve()
        os.chdir(app)
        sys.path.insert(0, str(app))
        if not (app / "function_app.py").is_file():
            raise AppFailed(f"there is no function_app.py in {app}")
        worker.start_threadpool_executor()
        try:
            self.functions = asyncio.run(_index(app))
        except BaseException:
            worker.stop_threadpool_executor()
            raise
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="runtime", daemon=True)
        self._thread.start()

    def invoke_timer(
        self,
        name: str,
        *,
        last: datetime | None = None,
        due: datetime | None = None,
        past_due: bool = False,
        invocation_id: str | None = None,
    ) -> Result:
        """Call a timer function.

        Args:
            name: The function.
            last: The occurrence before this one.
            due: The occurrence after this one.
            past_due: Whether occurrences were missed while the host was down.
            invocation_id: The invocation's id; a new one when None.

        Raises:
            KeyError: There is no such function.
        """
        now = datetime.now(UTC)
        status = {"Last": last or now, "Next": due or now, "LastUpdated": last or now}
        info = {
            "Schedule": {"AdjustForDST": True},
            "ScheduleStatus": {key: instant.isoformat() for key, instant in status.items()},
            "IsPastDue": past_due,
        }
        return self._invoke(name, Typed(json=json.dumps(info)), invocation_id)

    def invoke_http(
        self,
        name: str,
        *,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
        body: bytes = b"",
        invocation_id: str | None = None,
    ) -> Result:
        """Call an HTTP function; `headers` have lower-case names, `params` are the route's.

        Raises:
            KeyError: There is no such function.
        """
        http = SimpleNamespace(
            method=method,
            url=url,
            headers=headers or {},
            params=params or {},
            query=query or {},
            body=Typed(bytes=body),
        )
        return self._invoke(name, Typed(http=http), invocation_id)

    def invoke_blob(
        self, name: str, *, container: str, blob: str, invocation_id: str | None = None
    ) -> Result:
        """Call a blob function whose parameter is an SDK type: it gets three names, never the content.

        Raises:
            KeyError: There is no such function.
        """
        connection = self.functions[name].trigger.get("connection") or "AzureWebJobsStorage"
        content = {"Connection": connection, "ContainerName": container, "BlobName": blob}
        reference = SimpleNamespace(
            version="1.0",
            source="AzureStorageBlobs",
            content_type="application/json",
            content=json.dumps(content),
        )
        metadata = {"BlobTrigger": Typed(string=f"{container}/{blob}")}
        return self._invoke(
            name, Typed(model_binding_data=reference), invocation_id, metadata=metadata
        )

    def close(self) -> None:
        """Wait for the functions that run, then stop. Idempotent."""
        if self._loop.is_closed():
            return
        worker.stop_threadpool_executor()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _invoke(
        self,
        name: str,
        data: Typed,
        invocation_id: str | None,
        *,
        metadata: Mapping[str, Typed] | None = None,
    ) -> Result:
        function = self.functions[name]
        message = SimpleNamespace(
            invocation_id=invocation_id or str(uuid.uuid4()),
            function_id=function.id,
            input_data=[Input(str(function.trigger["name"]), data)],
            trigger_metadata=metadata or {},
            trace_context=SimpleNamespace(trace_parent="", trace_state="", attributes={}),
            retry_context=SimpleNamespace(retry_count=0, max_retry_count=0, exception=None),
        )
        request = _request("invocation_request", message)
        future = asyncio.run_coroutine_threadsafe(worker.invocation_request(request), self._loop)
        answer = future.result()
        if answer.result.status != StatusResult.Success:
            error = answer.result.exception
            return Result(ok=False, error=error.message, trace=error.stack_trace)
        return Result(ok=True, http=_read_http(answer.return_value))


async def _index(app: Path) -> dict[str, Function]:
    message = SimpleNamespace(capabilities={}, function_app_directory=str(app))
    request = _request("worker_init_request", message)
    request.properties = {"host": "127.0.0.1", "protos": PROTOS}
    try:
        answer = await worker.worker_init_request(request)
    except SystemExit as error:
        raise AppFailed(f"the app ended the process while it was imported: {error}") from error
    if answer.result.status != StatusResult.Success:
        found = answer.result.exception
        raise AppFailed(found.message, trace=_own_frames(found.stack_trace))
    answer = await worker.functions_metadata_request(_request("functions_metadata_request", None))
    functions = {}
    for item in answer.function_metadata_results or ():
        bindings = tuple(json.loads(text) for text in item.raw_bindings)
        functions[item.name] = Function(name=item.name, id=item.function_id, raw_bindings=bindings)
    return functions


def _own_frames(trace: str) -> str:
    """Leave the app's own frames of a failed import: not those of runtime and importlib, nor the message again."""
    lines = trace.splitlines()
    starts = [index for index, line in enumerate(lines) if "<frozen importlib" in line]
    frames = lines[starts[-1] + 1 :] if starts else lines
    return "\n".join(line for line in frames if line.startswith("  "))


def _request(name: str, message: SimpleNamespace | None) -> SimpleNamespace:
    return SimpleNamespace(request=SimpleNamespace(**{name: message}), properties={})


def _read_http(value: Any) -> HttpAnswer | None:  # noqa: ANN401 - a message of the runtime
    if value is None:
        return None
    if hasattr(value, "string"):
        return HttpAnswer(
            headers={"content-type": "text/plain; charset=utf-8"}, body=value.string.encode()
        )
    if not hasattr(value, "http"):
        return None
    return HttpAnswer(
        status=int(value.http.status_code),
        headers=dict(value.http.headers),
        body=value.http.body.bytes,
    )
