"""What `dev.py up` runs: the stack around the app, kept running, the host restarted when a file of the app changes."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import socket
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from watchfiles import Change, watch

from local.processes.child import ChildFailed
from local.processes.host import HostOptions
from local.settings_file import RUNNING_SETTINGS, SETTINGS_FILE, SettingsFileBroken, read_values
from local.stack import Stack
from local.standins.workspace.runs import Progress

DIRECTORY = ".local"
WATCHED_FILES = {"host.json", SETTINGS_FILE}
WATCHED_ENDINGS = (".py", ".yaml", ".yml")
NOT_THE_APP = {"node_modules", "__pycache__", "tests", "bench", "docs", "infra", "cli", "local"}
"""Directories whose code the host does not run."""
SAMPLE_SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000/"
"""An endpoint with this is the one of local.settings.sample.json: as good as none."""
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
FIRST_LINES = 40
"""How much of a host's message is shown when it does not start."""

_DECISION = re.compile(
    r"\[(?:event_ignored|submission_(?:pending|unknown|held|dead))\] (?P<said>.*?) trigger=\S+"
)
"""The host's log records that say why no run, or no run yet, was started."""
_SETTING = re.compile(r"(?<!\$)\$\{([^}]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """What the triggers file says about endpoints.

    Attributes:
        unset: Settings that endpoints name and nobody set: the workspace stand-in stands in for them.
        real: Whether some endpoint is a real one, beyond this machine.
    """

    unset: tuple[str, ...] = ()
    real: bool = False


class AlreadyUp(Exception):
    """The app's stack cannot be started a second time; the message says why and what to do."""


@dataclass(slots=True)
class _Shown:
    """What the person has been shown: runs, and how far the host's log."""

    runs: set[str] = field(default_factory=set)
    log: int = 0


def up(
    app: Path, *, func: bool = False, port: int = 7071, say: Callable[[str], None] = print
) -> None:
    """Keep the app running until KeyboardInterrupt.

    Args:
        app: The directory of `function_app.py`.
        func: Use Azure Functions Core Tools as the host.
        port: The host's port; Core Tools' own default.
        say: Shows a line to the person.

    Raises:
        AzuriteMissing: Node.js or Azurite is not installed.
        CoreToolsMissing: `func` is wanted and not installed.
        AlreadyUp: It runs already, or the port is taken.
    """
    app = app.resolve()
    directory = app / DIRECTORY
    _check_port(port)
    with _locked(directory):
        _run(app, directory, func=func, port=port, say=say)


def _check_port(port: int) -> None:
    """Check that the host will get its port, before anything is started.

    Raises:
        AlreadyUp: Somebody else has it.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise AlreadyUp(
                f"port {port} is taken: stop what has it, or use --port (0 takes a free one)"
            ) from error


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep a second `up` from the same folder: two Azurites on one set of files lose data.

    Raises:
        AlreadyUp: There is one.
    """
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise AlreadyUp(f"`dev.py up` already runs for {directory.parent}") from error
        yield


def _run(app: Path, directory: Path, *, func: bool, port: int, say: Callable[[str], None]) -> None:
    options = HostOptions(port=port, core_tools=func)
    say("starting storage, workspace and identity endpoint …")
    with Stack(
        app,
        location=directory / "azurite",
        directory=directory,
        options=options,
        progress=Progress(running=timedelta(seconds=2), final=timedelta(seconds=10)),
        start=False,
    ) as stack:
        own = dict(stack.settings)
        shown = _Shown(log=_size(stack.host_log))
        running = app / RUNNING_SETTINGS
        try:
            _restart(stack, own, say)
            running.write_text(json.dumps(stack.settings), encoding="utf-8")
            for line in _describe(stack):
                say(line)
            for changes in watch_app(app):
                _show_runs(stack, shown, say)
                _show_decisions(stack, shown, say)
                if not stack.azurite.alive:
                    say(
                        "Azurite has ended: no storage, so nothing works. Stop this, and start it again"
                    )
                    return
                if changes:
                    names = sorted({str(Path(path).relative_to(app)) for _, path in changes})
                    say(f"changed: {', '.join(names)}; restarting the host …")
                    _restart(stack, own, say)
                    running.write_text(json.dumps(stack.settings), encoding="utf-8")
        finally:
            running.unlink(missing_ok=True)


def read_endpoints(file: Path, *, settings: Mapping[str, str]) -> Endpoints:
    """Look at the endpoints of the triggers file. A file that cannot be read has none: the host will say why."""
    try:
        document = yaml.safe_load(file.read_text("utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return Endpoints()
    pipelines = document.get("pipelines") if isinstance(document, dict) else None
    unset: list[str] = []
    real = False
    for pipeline in pipelines.values() if isinstance(pipelines, dict) else ():
        endpoint = pipeline.get("endpoint") if isinstance(pipeline, dict) else None
        if not isinstance(endpoint, str):
            continue
        missing = [
            name
            for name in _SETTING.findall(endpoint)
            if name not in settings or SAMPLE_SUBSCRIPTION in settings[name]
        ]
        if missing:
            unset += missing
            continue
        filled = _SETTING.sub(lambda found: settings[found.group(1)], endpoint)
        real = real or urlsplit(filled).hostname not in LOOPBACK
    return Endpoints(unset=tuple(dict.fromkeys(unset)), real=real)


def watch_app(app: Path) -> Iterator[set[tuple[Change, str]]]:
    """Yield the changes of the app's files as they come, and an empty set about every second.

    Directories are watched one by one, not as a tree: below the app lie tens of thousands of installed files.
    """

    def matters(_change: Change, path: str) -> bool:
        name = Path(path).name
        return name.endswith(WATCHED_ENDINGS) or name in WATCHED_FILES

    while True:
        directories = list(find_directories(app))
        for changes in watch(
            *directories,
            watch_filter=matters,
            recursive=False,
            rust_timeout=1000,
            yield_on_timeout=True,
        ):
            yield changes
            if set(find_directories(app)) != set(directories):
                break


def find_directories(app: Path) -> Iterator[Path]:
    """Yield the app's directory and those below it that can hold its code."""
    for place, directories, _ in os.walk(app):
        directories[:] = [
            name for name in directories if not name.startswith(".") and name not in NOT_THE_APP
        ]
        yield Path(place)


def _restart(stack: Stack, own: Mapping[str, str], say: Callable[[str], None]) -> None:
    stack.stop_host()
    try:
        stack.settings = _compose(stack, own, say)
        host = stack.start_host()
    except SettingsFileBroken as error:
        say(f"{error}\nwaiting for a change …")
    except ChildFailed as error:
        # The app's own message comes first; the trace below it leads through our code and says it again.
        said = error.output.partition("\nTraceback (most recent call last)")[0]
        lines = said.strip().splitlines() or [str(error)]
        more = len(lines) - FIRST_LINES
        rest = [f"… and {more} lines more: python3 dev.py check"] if more > 0 else []
        shown = ["the host did not start:", *lines[:FIRST_LINES], *rest, "waiting for a change …"]
        say("\n".join(shown))
    else:
        say(f"the host runs: {host.url}  ({', '.join(host.functions) or 'see its log'})")


def _compose(stack: Stack, own: Mapping[str, str], say: Callable[[str], None]) -> dict[str, str]:
    """Put together the app's settings: the stack's own, those of the file over them, stand-ins for what is missing."""
    given = read_values(stack.app / SETTINGS_FILE)
    file = stack.app / given.get("TRIGGERS_FILE", "triggers.yaml")
    endpoints = read_endpoints(file, settings=given)
    settings = {**own, **stack.resolve(given)}
    for name in endpoints.unset:
        pipeline = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
        settings[name] = stack.workspace.submit_url(pipeline)
        say(f"{name} is not set, or still the sample's: the workspace stand-in takes its place")
    if endpoints.real:
        for name in set(stack.identity.environment) - set(given):
            settings.pop(name, None)
        say("an endpoint is a real one: runs are started in Azure, with your own login (az login)")
    stack.create_container(settings.get("DATA_CONTAINER", stack.container))
    return settings


def _describe(stack: Stack) -> list[str]:
    container = stack.settings.get("DATA_CONTAINER", stack.container)
    upload = f"az storage blob upload -c {container} -n incoming/a.csv -f a.csv"
    return [
        f"storage (Azurite; kept in {DIRECTORY}/azurite), connection string:",
        f"  {stack.azurite.connection_string}",
        f"  upload: {upload} --connection-string '…'",
        f"workspace stand-in: {stack.workspace.url}",
        f"logs: {stack.host_log}",
        "Ctrl-C stops everything",
    ]


def _show_runs(stack: Stack, shown: _Shown, say: Callable[[str], None]) -> None:
    for run in stack.workspace.runs.all():
        if run.id not in shown.runs:
            shown.runs.add(run.id)
            say(f"the workspace started run {run.id} in {run.experiment}: {_short(run.body)}")


def _show_decisions(stack: Stack, shown: _Shown, say: Callable[[str], None]) -> None:
    """Say why events started nothing, from the host's log."""
    if not stack.host_log.is_file():
        return
    if shown.log > _size(stack.host_log):
        shown.log = 0  # a new host began a new log
    with stack.host_log.open("rb") as log:
        log.seek(shown.log)
        text = log.read()
    complete = text[: text.rfind(b"\n") + 1]
    shown.log += len(complete)
    for found in _DECISION.finditer(complete.decode("utf-8", errors="replace")):
        say(found["said"])


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _short(body: Mapping[str, Any]) -> str:
    names = ("ParameterAssignments", "DataPathAssignments")
    return json.dumps({name: body[name] for name in names if body.get(name)}, ensure_ascii=False)
