"""The stack that `dev.py up` runs: it restarts the host when a file of the app changes."""

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
"""Directories that are not part of the app, so that their changes do not matter."""
SAMPLE_SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000/"
"""An endpoint with this subscription is the placeholder of local.settings.sample.json. It counts as missing."""
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
FIRST_LINES = 40
"""How many lines of the host's message are shown if it does not start."""

_DECISION = re.compile(
    r"\[(?:event_ignored|submission_(?:pending|unknown|held|dead))\] (?P<message>.*?) \| action="
)
"""The log records that explain why an event started no run, or no run yet."""
_SETTING = re.compile(r"(?<!\$)\$\{([^}]+)\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """The endpoints of a triggers file."""

    unset: tuple[str, ...] = ()
    """The missing settings that endpoints name. The workspace stand-in replaces them."""
    real: bool = False
    """Whether at least one endpoint is real, and not on this machine."""


class AlreadyUp(Exception):
    """The stack already runs, or its port is taken. The message says what to do."""


@dataclass(slots=True)
class _Shown:
    """The runs and log records that have been shown to the developer."""

    runs: set[str] = field(default_factory=set)
    """The ids of the runs."""
    log: int = 0
    """The position in the host's log, in bytes."""


def up(
    app: Path, *, func: bool = False, port: int = 7071, say: Callable[[str], None] = print
) -> None:
    """Run the app until KeyboardInterrupt.

    Args:
        app: The directory of `function_app.py`.
        func: Whether Azure Functions Core Tools are the host.
        port: The host's port. The default is that of Core Tools.
        say: Shows one line to the developer.

    Raises:
        AzuriteMissing: Node.js or Azurite is not installed.
        CoreToolsMissing: Azure Functions Core Tools are requested but not installed.
        AlreadyUp: The stack already runs, or the port is taken.
    """
    app = app.resolve()
    directory = app / DIRECTORY
    _check_port(port)
    with _locked(directory):
        _run(app, directory, func=func, port=port, say=say)


def _check_port(port: int) -> None:
    """Check that the port is free, before anything is started.

    Raises:
        AlreadyUp: Another process has the port.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise AlreadyUp(
                f"port {port} is taken: stop the process that has it, or use --port (0 takes a free one)"
            ) from error


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Lock a directory, because two Azurites with the same files would lose data.

    Raises:
        AlreadyUp: Another `up` has the lock.
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
                    say("Azurite has ended, so the app has no storage. Start `dev.py up` again")
                    return
                if changes:
                    names = sorted({str(Path(path).relative_to(app)) for _, path in changes})
                    say(f"changed: {', '.join(names)}; restarting the host …")
                    _restart(stack, own, say)
                    running.write_text(json.dumps(stack.settings), encoding="utf-8")
        finally:
            running.unlink(missing_ok=True)


def read_endpoints(file: Path, *, settings: Mapping[str, str]) -> Endpoints:
    """Return the endpoints of a triggers file. A file that cannot be read has none, and the host will report why.

    Args:
        file: The triggers file.
        settings: The settings of the app.
    """
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
    """Yield the changes of the app's files when they come, and an empty set about every second."""
    # Directories are watched one by one, because the tree below the app contains tens of thousands of installed files.

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
    """Yield the app's directory, and the directories below it that can contain its code."""
    for directory, directories, _ in os.walk(app):
        directories[:] = [
            name for name in directories if not name.startswith(".") and name not in NOT_THE_APP
        ]
        yield Path(directory)


def _restart(stack: Stack, own: Mapping[str, str], say: Callable[[str], None]) -> None:
    stack.stop_host()
    try:
        stack.settings = _compose(stack, own, say)
        host = stack.start_host()
    except SettingsFileBroken as error:
        say(f"{error}\nwaiting for a change …")
    except ChildFailed as error:
        # The app's own message comes first. The traceback after it is the host's, and repeats the message.
        message = error.output.partition("\nTraceback (most recent call last)")[0]
        lines = message.strip().splitlines() or [str(error)]
        more = len(lines) - FIRST_LINES
        rest = [f"… and {more} more lines: python3 dev.py check"] if more > 0 else []
        shown = ["the host did not start:", *lines[:FIRST_LINES], *rest, "waiting for a change …"]
        say("\n".join(shown))
    else:
        say(f"the host runs: {host.url}  ({', '.join(host.functions) or 'see its log'})")


def _compose(stack: Stack, own: Mapping[str, str], say: Callable[[str], None]) -> dict[str, str]:
    """Return the app's settings: those of the file win over the stack's own, and stand-ins replace missing ones."""
    given = read_values(stack.app / SETTINGS_FILE)
    file = stack.app / given.get("TRIGGERS_FILE", "triggers.yaml")
    endpoints = read_endpoints(file, settings=given)
    settings = {**own, **stack.resolve(given)}
    for name in endpoints.unset:
        pipeline = str(uuid.uuid5(uuid.NAMESPACE_OID, name))
        settings[name] = stack.workspace.submit_url(pipeline)
        say(f"{name} is not set, or still the sample's: the workspace stand-in replaces it")
    if endpoints.real:
        for name in set(stack.identity.environment) - set(given):
            settings.pop(name, None)
        say("an endpoint is real: the app starts runs in Azure with your own login (az login)")
    stack.create_container(settings.get("DATA_CONTAINER", stack.container))
    return settings


def _describe(stack: Stack) -> list[str]:
    container = stack.settings.get("DATA_CONTAINER", stack.container)
    upload = f"az storage blob upload -c {container} -n incoming/a.csv -f a.csv"
    return [
        f"storage (Azurite, data in {DIRECTORY}/azurite), connection string:",
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
    """Show why events started no run, from the host's log."""
    if not stack.host_log.is_file():
        return
    if shown.log > _size(stack.host_log):
        shown.log = 0  # the log was removed, and a new host began a new one
    with stack.host_log.open("rb") as log:
        log.seek(shown.log)
        text = log.read()
    complete = text[: text.rfind(b"\n") + 1]
    shown.log += len(complete)
    for found in _DECISION.finditer(complete.decode("utf-8", errors="replace")):
        say(found["message"])


def _size(file: Path) -> int:
    return file.stat().st_size if file.is_file() else 0


def _short(body: Mapping[str, Any]) -> str:
    names = ("ParameterAssignments", "DataPathAssignments")
    return json.dumps({name: body[name] for name in names if body.get(name)}, ensure_ascii=False)
