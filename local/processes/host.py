"""The host as a child process."""

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
    """The options of a host process."""

    port: int = 0
    """The port. 0 takes a free one."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """The function keys by name, including `master` and `default`. If empty, every call is allowed."""
    interval: timedelta = timedelta(seconds=2)
    """The time between two listings of a polled container."""
    state: Path | None = None
    """The directory that keeps timers and blobs over restarts. None keeps nothing."""
    timers: bool = True
    """Whether timers fire by themselves. If not, only the admin API calls them."""
    core_tools: bool = False
    """Whether Azure Functions Core Tools are the host. They use only `port` of the other options."""


class CoreToolsMissing(Exception):
    """Azure Functions Core Tools are requested but not installed. The message says how to install them."""


class HostProcess:
    """A running host, from construction until `stop`."""

    url: str
    """The base URL."""
    pid: int
    """The process id of the host itself, for tests that kill it. (Core Tools: the id of the process group.)"""
    functions: list[str]
    """The names of the app's functions, in load order. (Core Tools: empty.)"""
    child: processes.Child
    """The child process."""

    def __init__(
        self,
        app: Path,
        *,
        settings: Mapping[str, str],
        log: Path,
        options: HostOptions | None = None,
        within: timedelta = timedelta(seconds=60),
    ) -> None:
        """Start the host and wait until it has indexed the app.

        Args:
            app: The directory of `function_app.py`.
            settings: The app settings. The child gets only a small part of the parent's environment, so that no real
                Azure setting reaches it.
            log: The log file. Output is appended.
            options: The options of the host.
            within: The longest wait.

        Raises:
            ChildFailed: The app could not be indexed (code 3, and `output` holds its message), or the host did not
                start.
            CoreToolsMissing: Azure Functions Core Tools are requested but not installed.
        """
        options = options or HostOptions()
        environment = {**inherited_environment(), **settings}
        if options.core_tools:
            self.child, self.url = _start_core_tools(app, environment, log, port=options.port)
            self.pid = self.child.pid
            self.functions = []
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
        """Stop the host in an orderly way, and kill it if that fails. Idempotent."""
        self.child.stop(grace=timedelta(seconds=10))

    def kill(self) -> None:
        """Kill the host at once, as if its machine failed. Idempotent."""
        self.child.kill()


def inherited_environment() -> dict[str, str]:
    """Return the part of this process's environment that the host gets."""
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
            "--func needs Azure Functions Core Tools 4, but there is no `func` on PATH. Install them "
            "(npm install -g azure-functions-core-tools@4), or leave out --func to use the built-in host."
        )
    # Core Tools start the first `python` on PATH, which must be the one with the app's packages.
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', '')}"
    return processes.start(
        [program, "start", "--port", str(port)],
        name="Azure Functions Core Tools",
        log=log,
        # Core Tools print this line after the list of functions.
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
