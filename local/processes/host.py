"""The host as a child process: started, asked where it is, stopped."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from local.processes import child as processes
from local.standins.azurite import ROOT

INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "VIRTUAL_ENV")
INHERITED_PREFIXES = ("COVERAGE_", "PYTHON")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostOptions:
    """How a host is started.

    Attributes:
        port: Its port; 0 takes a free one.
        keys: Function keys by name, `master` and `default` among them; every call is allowed when empty.
        interval: How often polled containers are listed.
        state: Directory that remembers timers and blobs over restarts; nothing is remembered when None.
        timers: Whether timers fire by themselves; else only by the admin API.
        core_tools: Whether Azure Functions Core Tools are the host; then only `port` counts of the others.
    """

    port: int = 0
    keys: Mapping[str, str] = field(default_factory=dict)
    interval: timedelta = timedelta(seconds=2)
    state: Path | None = None
    timers: bool = True
    core_tools: bool = False


class CoreToolsMissing(Exception):
    """Azure Functions Core Tools are wanted and not installed."""


class HostProcess:
    """A running host, from construction until `stop`.

    Attributes:
        url: Its base URL.
        pid: The process id of the host itself: what a test that kills it needs. (Core Tools: of the group.)
        functions: The names of the app's functions, in load order. (Core Tools: none.)
        child: The child process.
    """

    def __init__(
        self,
        app: Path,
        *,
        settings: Mapping[str, str],
        log: Path,
        options: HostOptions | None = None,
        within: timedelta = timedelta(seconds=60),
    ) -> None:
        """Start it and wait until it has indexed the app.

        Args:
            app: The directory of `function_app.py`.
            settings: The app settings. Of the parent's environment only what a process needs is passed on, so that
                no real Azure setting leaks in.
            log: Its log; appended to.
            options: How it runs.
            within: The longest wait.

        Raises:
            ChildFailed: The app could not be indexed (code 3; `output` holds the app's message), or it did not start.
            CoreToolsMissing: They are wanted and not installed.
        """
        options = options or HostOptions()
        environment = {**inherited_environment(), **settings}
        if options.core_tools:
            self.child, self.url = _start_core_tools(app, environment, log, port=options.port)
            self.pid = self.child.pid
            self.functions: list[str] = []
            return
        command: list[str | Path] = [
            sys.executable,
            "-m",
            "local.host",
            "--app",
            app.resolve(),
        ]
        command += [
            "--port",
            str(options.port),
            "--interval",
            str(options.interval.total_seconds()),
        ]
        if options.state is not None:
            command += ["--state", options.state.resolve()]
        if not options.timers:
            command.append("--no-timers")
        with tempfile.TemporaryDirectory(prefix="host-keys-") as directory:
            if options.keys:
                keys = Path(directory) / "keys.json"
                keys.write_text(json.dumps(dict(options.keys)), "utf-8")
                command += ["--keys", keys]
            self.child, ready = processes.start(
                command,
                name="the host",
                log=log,
                ready=_read_ready,
                within=within,
                env=environment,
                cwd=ROOT,
            )
        self.url = str(ready["url"])
        self.pid = ready["pid"]
        self.functions = ready["functions"]

    def stop(self) -> None:
        """Stop it in good order; kill it if it does not. Idempotent."""
        self.child.stop(grace=timedelta(seconds=10))

    def kill(self) -> None:
        """Kill it at once, as a machine that goes away. Idempotent."""
        self.child.kill()


def inherited_environment() -> dict[str, str]:
    """Return the part of this process's environment that a child gets."""
    return {
        name: value
        for name, value in os.environ.items()
        if name in INHERITED or name.startswith(INHERITED_PREFIXES)
    }


def _start_core_tools(
    app: Path, environment: dict[str, str], log: Path, *, port: int
) -> tuple[processes.Child, str]:
    program = shutil.which("func")
    if program is None:
        raise CoreToolsMissing(
            "--func needs Azure Functions Core Tools 4, and there is no `func` on PATH: install them "
            "(npm install -g azure-functions-core-tools@4), or leave --func out to use the built-in host."
        )
    # Core Tools start the `python` of PATH, which must be the one with the app's packages.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    return processes.start(
        [program, "start", "--port", str(port)],
        name="Azure Functions Core Tools",
        log=log,
        # The line that follows the list of functions.
        ready=lambda output: (
            f"http://127.0.0.1:{port}" if "run func with --verbose" in output else None
        ),
        within=timedelta(minutes=5),  # the first start downloads the extension bundle
        env=environment,
        cwd=app,
    )


def _read_ready(output: str) -> dict[str, Any] | None:
    for line in output.splitlines():
        if line.startswith('{"url"'):
            found: dict[str, Any] = json.loads(line)
            return found
    return None
