"""The host as a program: `python -m local.host --app DIR`.

When it is ready, it prints one JSON line on standard output. Its log goes to standard error. If the app cannot be
indexed, it prints the app's message on standard error and exits with code 3.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
from datetime import timedelta
from pathlib import Path

from local.host.log import configure_logging, logger
from local.host.routes import Keys
from local.host.runtime import AppFailed, Runtime
from local.host.server import Host, Options

INDEX_FAILED = 3
"""The exit code if the app cannot be indexed."""


def _read_arguments() -> tuple[Path, Options]:
    parser = argparse.ArgumentParser(prog="python -m local.host", description=__doc__)
    parser.add_argument("--app", type=Path, required=True, help="directory of function_app.py")
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument(
        "--keys", type=Path, help="JSON file with function keys; without it, every call is allowed"
    )
    parser.add_argument(
        "--interval",
        type=float,
        default=2.0,
        help="seconds between two listings of a polled container",
    )
    parser.add_argument(
        "--state", type=Path, help="directory that keeps timers and blobs over restarts"
    )
    parser.add_argument(
        "--no-timers", action="store_true", help="timers fire only through the admin API"
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
    """Run the host until SIGTERM or SIGINT, and return the exit code."""
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


if __name__ == "__main__":
    sys.exit(main())
