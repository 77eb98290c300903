"""The real `azure-functions-runtime` in this process, used in the same way as by the worker in Azure.

The runtime is the library that indexes and invokes a Python v2-model app on Python 3.13 in Azure. Its messages are
protobuf messages, but it uses only their attributes, so plain objects are enough. Every call goes through
`invocation_request`, which also decodes SDK-type bindings such as `BlobClient`.

A process can run one app only: the runtime's registries are module globals, and indexing changes `sys.path` and the
working directory.
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
    """The app could not be indexed, so none of its functions can run. The message is the app's own."""

    def __init__(self, message: str, *, trace: str = "") -> None:
        self.trace = trace
        """The traceback, without frames of the runtime."""
        super().__init__(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """An indexed function."""

    name: str
    """The function's name."""
    id: str
    """The runtime's id of the function."""
    raw_bindings: tuple[Mapping[str, Any], ...]
    """The bindings that the worker reports to the host, each as parsed JSON."""

    @property
    def trigger(self) -> Mapping[str, Any]:
        """The binding that is the function's trigger."""
        return next(item for item in self.raw_bindings if str(item["type"]).endswith("Trigger"))

    @property
    def trigger_type(self) -> str:
        """The type of the trigger, such as `timerTrigger`, `httpTrigger` or `blobTrigger`."""
        return str(self.trigger["type"])


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpAnswer:
    """The response of an HTTP function, without cookies, which the runtime returns separately."""

    status: int = 200
    """The HTTP status."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """The headers."""
    body: bytes = b""
    """The body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The result of a call."""

    ok: bool
    """Whether the function returned without an exception."""
    http: HttpAnswer | None = None
    """The response of an HTTP function."""
    error: str | None = None
    """The type and text of the exception, or None if there was none."""
    trace: str = ""
    """The traceback of the exception."""


class Runtime:
    """An indexed app whose functions can be called from any thread, until `close`."""

    functions: dict[str, Function]
    """The functions by name, in load order."""

    def __init__(self, app: Path) -> None:
        """Index the app.

        Args:
            app: The directory of `function_app.py`. The app settings must already be in `os.environ`.

        Raises:
            AppFailed: The import failed, or the directory has no app.
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
            name: The function's name.
            last: The previous occurrence.
            due: The next occurrence.
            past_due: Whether occurrences were missed while the host was down.
            invocation_id: The id of the call. None makes a new one.

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
        """Call an HTTP function.

        Args:
            name: The function's name.
            method: The method in upper case.
            url: The full URL.
            headers: The headers, with lower-case names.
            params: The decoded parameters of the route.
            query: The decoded query.
            body: The body.
            invocation_id: The id of the call. None makes a new one.

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
        """Call a blob function whose parameter is an SDK type. It gets names, never the content.

        Args:
            name: The function's name.
            container: The container.
            blob: The full name of the blob in the container.
            invocation_id: The id of the call. None makes a new one.

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
        """Wait for the functions that run, then stop the runtime. Idempotent."""
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
        raise AppFailed(f"the app called sys.exit while it was imported: {error}") from error
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
    """Return the app's own frames of a failed import, without those of runtime and importlib."""
    # Lines without indentation repeat the message, which is shown above the trace.
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
