"""The workspace stand-in as a program: `python -m local.standins.workspace`."""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
from datetime import timedelta

from local.standins.workspace.runs import Progress
from local.standins.workspace.server import WorkspaceStandIn


def main() -> None:
    """Run the workspace as a program until SIGTERM or SIGINT.

    The environment variable `LOCAL_TOKEN_SECRET` (hex) is the secret that it shares with the identity stand-in.
    """
    parser = argparse.ArgumentParser(
        prog="python -m local.standins.workspace", description=main.__doc__
    )
    parser.add_argument("--port", type=int, default=0, help="default: a free one")
    parser.add_argument(
        "--finish-after", type=float, help="seconds after which runs finish; default: never"
    )
    arguments = parser.parse_args()
    secret = bytes.fromhex(os.environ.get("LOCAL_TOKEN_SECRET", ""))
    if not secret:
        parser.error("set LOCAL_TOKEN_SECRET to the identity stand-in's secret (hex)")
    progress = None
    if arguments.finish_after is not None:
        final = timedelta(seconds=arguments.finish_after)
        progress = Progress(running=final / 3, final=final)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with WorkspaceStandIn(secret=secret, progress=progress, port=arguments.port) as workspace:
        # The token protects the control plane from other local users. The parent process needs it.
        line = {
            "url": workspace.url,
            "submit_url": workspace.submit_url(),
            "control_token": workspace.control_token,
        }
        print(json.dumps(line), flush=True)
        stopped.wait()


if __name__ == "__main__":
    main()
