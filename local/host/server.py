"""The Functions host of the local stack: one process with the real Python runtime that fires triggers as Azure does."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.host.blobs import BlobPoller, BlobQueue, Receipts
from local.host.http import HttpSide
from local.host.routes import Keys, read_routes
from local.host.runtime import AppFailed, Function, Runtime
from local.host.timers import Timer, TimerThread
from local.standins.http_server import HttpServer

TRIGGERS = {"timerTrigger", "httpTrigger", "blobTrigger"}
"""The kinds of trigger that this host can fire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of the host."""

    port: int = 0
    """The port. 0 takes a free one."""
    keys: Keys = field(default_factory=Keys)
    """The keys that callers need. If empty, every call is allowed."""
    interval: timedelta = timedelta(seconds=2)
    """The time between two listings of a polled container. In Azure it is at least 10 s."""
    retry_delay: timedelta = timedelta(seconds=0.5)
    """The wait before a function is called again for the same blob."""
    state: Path | None = None
    """The directory that keeps fired timers and finished blobs over restarts. None keeps nothing."""
    timers: bool = True
    """Whether timers fire by themselves. If not, only the admin API calls them."""


class Host:
    """A running host around an indexed app, from construction until `close`.

    Args:
        app: The directory of `host.json`.
        runtime: The runtime that has indexed the app.
        options: The options of the host.

    Raises:
        AppFailed: A function's trigger or `host.json` cannot be used.
        OSError: The port is taken.
    """

    def __init__(self, app: Path, runtime: Runtime, *, options: Options) -> None:
        settings = _read_host_json(app)
        functions = list(runtime.functions.values())
        _check(functions)
        extensions = settings.get("extensions", {})
        routes = read_routes(functions, prefix=extensions.get("http", {}).get("routePrefix", "api"))
        timers = [
            Timer(function, runtime, clock=_now, state=options.state)
            for function in functions
            if function.trigger_type == "timerTrigger"
        ]
        by_name = {timer.name: timer for timer in timers}
        receipts = Receipts(options.state)
        # The default of the real host (host.json reference): 8 times the number of cores.
        workers = extensions.get("blobs", {}).get("maxDegreeOfParallelism") or 8 * (
            os.cpu_count() or 1
        )
        self._blobs = BlobQueue(
            runtime, workers=workers, retry_delay=options.retry_delay, done=receipts.write
        )
        polled = [
            function
            for function in functions
            if function.trigger_type == "blobTrigger"
            and function.trigger.get("source") != "EventGrid"
        ]
        self._poller = BlobPoller(polled, self._blobs, receipts=receipts, interval=options.interval)
        http = HttpSide(
            runtime,
            routes=routes,
            keys=options.keys,
            blobs=self._blobs,
            run_timer=lambda name: by_name[name].run(),
        )
        self._server = HttpServer(http.handle, port=options.port)
        self.url = self._server.url
        self._timers = [TimerThread(timer, clock=_now) for timer in timers if options.timers]
        self._poller.start()
        for timer in self._timers:
            timer.start()

    def close(self) -> None:
        """Stop the triggers and the server, and wait for the functions that run."""
        for timer in self._timers:
            timer.close()
        self._poller.close()
        self._blobs.close()
        self._server.close()


def _check(functions: list[Function]) -> None:
    for function in functions:
        if function.trigger_type not in TRIGGERS:
            raise AppFailed(
                f"{function.name}: the local host cannot fire a {function.trigger_type}; "
                f"it can fire {', '.join(sorted(TRIGGERS))}"
            )
        deferred = function.trigger.get("properties", {}).get("SupportsDeferredBinding")
        if function.trigger_type == "blobTrigger" and not deferred:
            raise AppFailed(
                f"{function.name}: its blob parameter must be a BlobClient, because other types would download the blob"
            )


def _read_host_json(app: Path) -> dict[str, Any]:
    file = app / "host.json"
    if not file.is_file():
        return {}
    try:
        settings = json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise AppFailed(f"host.json is not JSON: {error}") from error
    if not isinstance(settings, dict) or settings.get("version") != "2.0":
        raise AppFailed('host.json: "version" must be "2.0"')
    return settings


def _now() -> datetime:
    return datetime.now(UTC)
