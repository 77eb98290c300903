"""The Functions host of the local stack: one process, the real Python runtime, triggers as the real host fires them.

`python -m local.host --app DIR` prints one JSON line on standard output when it is ready, and its
log on standard error. Exit code 3 means that the app could not be indexed; the message is on
standard error.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from local.host.blobs import BlobPoller, BlobQueue, Receipts
from local.host.http import HttpSide
from local.host.log import configure_logging, logger
from local.host.routes import Keys, read_routes
from local.host.runtime import AppFailed, Function, Runtime
from local.host.timers import Timer, TimerThread
from local.standins.http_server import HttpServer

INDEX_FAILED = 3
"""Exit code when the app cannot be indexed."""
TRIGGERS = {"timerTrigger", "httpTrigger", "blobTrigger"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the host runs.

    Attributes:
        port: Its port; 0 takes a free one.
        keys: The keys it wants; none when empty.
        interval: How often polled containers are listed. Azure's is 10 s and more.
        retry_delay: The pause before a blob is tried again.
        state: Directory that remembers, over restarts, which timers fired and which blobs are done;
            nothing when None.
        timers: Whether timers fire by themselves; else only by the admin API.
    """

    port: int = 0
    keys: Keys = field(default_factory=Keys)
    interval: timedelta = timedelta(seconds=2)
    retry_delay: timedelta = timedelta(seconds=0.5)
    state: Path | None = None
    timers: bool = True


class Host:
    """A running host around an indexed app, from construction until `close`.

    Raises:
        AppFailed: A function's trigger cannot be used.
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
        # The host's own default (host.json reference): 8 times the cores.
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
        """Take nothing new and wait for what runs."""
        for timer in self._timers:
            timer.close()
        self._poller.close()
        self._blobs.close()
        self._server.close()


def _check(functions: list[Function]) -> None:
    for function in functions:
        if function.trigger_type not in TRIGGERS:
            raise AppFailed(f"{function.name}: the local host has no {function.trigger_type}")
        deferred = function.trigger.get("properties", {}).get("SupportsDeferredBinding")
        if function.trigger_type == "blobTrigger" and not deferred:
            raise AppFailed(
                f"{function.name}: its blob parameter must be a BlobClient; any other type would download the blob"
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


def _read_arguments() -> tuple[Path, Options]:
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument("--app", type=Path, required=True, help="directory of function_app.py")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument(
        "--keys", type=Path, help="JSON file of function keys; without it every call is allowed"
    )
    parser.add_argument(
        "--interval", type=float, default=2.0, help="seconds between looks at polled containers"
    )
    parser.add_argument(
        "--state", type=Path, help="directory that remembers timers and blobs over restarts"
    )
    parser.add_argument(
        "--no-timers", action="store_true", help="timers fire through the admin API only"
    )
    arguments = parser.parse_args()
    try:
        keys = Keys.read(arguments.keys) if arguments.keys else Keys()
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if arguments.state is not None:
        arguments.state.mkdir(parents=True, exist_ok=True)
    options = Options(
        port=arguments.port,
        keys=keys,
        interval=timedelta(seconds=arguments.interval),
        state=arguments.state.resolve() if arguments.state else None,
        timers=not arguments.no_timers,
    )
    return arguments.app.resolve(), options


def main() -> int:
    """Run the host until SIGTERM or SIGINT; return the exit code."""
    app, options = _read_arguments()
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    configure_logging()
    runtime = None
    try:
        runtime = Runtime(app)
        host = Host(app, runtime, options=options)
    except OSError as error:
        print(
            f"The host cannot listen on port {options.port}: {error}", file=sys.stderr, flush=True
        )
        return 1
    except AppFailed as error:
        if runtime is not None:
            runtime.close()
        print(
            f"No function was indexed.\n{error}\n{error.trace}".rstrip(),
            file=sys.stderr,
            flush=True,
        )
        return INDEX_FAILED
    line = {"url": host.url, "pid": os.getpid(), "functions": list(runtime.functions)}
    print(json.dumps(line), flush=True)
    stopped.wait()
    logger.info("stopping")
    host.close()
    runtime.close()
    return 0
