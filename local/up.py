"""What `dev.py up` runs: the stack around the app, kept running, the host restarted when a file of the app changes."""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from watchfiles import Change, watch

from local.host_process import HostOptions
from local.processes import ChildFailed
from local.stack import Stack
from local.workspace_runs import Progress

DIRECTORY = ".local"
SETTINGS_FILE = "local.settings.json"
WATCHED_FILES = {"triggers.yaml", "host.json", SETTINGS_FILE}
NOT_THE_APP = {"node_modules", "__pycache__", "tests", "bench", "docs", "infra", "cli", "local"}
"""Directories whose code the host does not run."""
SAMPLE_SUBSCRIPTION = "/subscriptions/00000000-0000-0000-0000-000000000000/"
"""An endpoint with this is the one of local.settings.sample.json: as good as none."""
RUNNING_SETTINGS = f"{DIRECTORY}/settings.json"
"""The settings of the app that runs, for the commands that work on its ledger; there as long as it runs."""
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
FIRST_LINES = 40
"""How much of a host's message is shown when it does not start."""

_SETTING = re.compile(r"(?<!\$)\$\{([^}]+)\}")


class SettingsFileBroken(Exception):
    """`local.settings.json` cannot be read; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoints:
    """What the triggers file says about endpoints.

    Attributes:
        unset: Settings that endpoints name and nobody set: the workspace stand-in stands in for them.
        real: Whether some endpoint is a real one, beyond this machine.
    """

    unset: tuple[str, ...] = ()
    real: bool = False


@dataclass(slots=True)
class _Shown:
    runs: set[str] = field(default_factory=set)


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
        OSError: The port is taken.
    """
    app = app.resolve()
    directory = app / DIRECTORY
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
        for line in _describe(stack):
            say(line)
        shown = _Shown()
        running = app / RUNNING_SETTINGS
        try:
            _restart(stack, own, say)
            running.write_text(json.dumps(stack.settings), encoding="utf-8")
            for changes in watch_app(app):
                _show_runs(stack, shown, say)
                if changes:
                    names = sorted({str(Path(path).relative_to(app)) for _, path in changes})
                    say(f"changed: {', '.join(names)}; restarting the host …")
                    _restart(stack, own, say)
                    running.write_text(json.dumps(stack.settings), encoding="utf-8")
        finally:
            running.unlink(missing_ok=True)


def read_local_settings(app: Path) -> dict[str, str]:
    """Read the `Values` of `local.settings.json`; nothing when there is no such file.

    Raises:
        SettingsFileBroken: It is not JSON, is encrypted, or a value is not text.
    """
    file = app / SETTINGS_FILE
    if not file.is_file():
        return {}
    try:
        document = json.loads(file.read_text("utf-8-sig"))
    except ValueError as error:
        raise SettingsFileBroken(f"{SETTINGS_FILE} is not JSON: {error}") from error
    values = document.get("Values", {}) if isinstance(document, dict) else None
    if not isinstance(values, dict):
        raise SettingsFileBroken(f'{SETTINGS_FILE}: there must be an object "Values"')
    if document.get("IsEncrypted"):
        raise SettingsFileBroken(f"{SETTINGS_FILE} is encrypted: run `func settings decrypt`")
    if wrong := sorted(name for name, value in values.items() if not isinstance(value, str)):
        raise SettingsFileBroken(
            f"{SETTINGS_FILE}: not text: {', '.join(wrong)}; put the values in quotes"
        )
    return values


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
        return name.endswith(".py") or name in WATCHED_FILES

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
        lines = error.output.strip().splitlines() or [str(error)]
        say("\n".join(["the host did not start:", *lines[:FIRST_LINES], "waiting for a change …"]))
    else:
        say(f"the host runs: {host.url}  ({', '.join(host.functions) or 'see its log'})")


def _compose(stack: Stack, own: Mapping[str, str], say: Callable[[str], None]) -> dict[str, str]:
    """Put together the app's settings: the stack's own, those of the file over them, stand-ins for what is missing."""
    given = read_local_settings(stack.app)
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
    return [
        f"storage (Azurite; kept in {DIRECTORY}/azurite), connection string:",
        f"  {stack.azurite.connection_string}",
        f"  upload: az storage blob upload -c {stack.container} -n incoming/a.csv -f a.csv --connection-string '…'",
        f"workspace stand-in: {stack.workspace.url}",
        f"logs: {stack.host_log}",
        "Ctrl-C stops everything",
    ]


def _show_runs(stack: Stack, shown: _Shown, say: Callable[[str], None]) -> None:
    for run in stack.workspace.runs.all():
        if run.id not in shown.runs:
            shown.runs.add(run.id)
            say(f"the workspace started run {run.id} in {run.experiment}: {_short(run.body)}")


def _short(body: Mapping[str, Any]) -> str:
    names = ("ParameterAssignments", "DataPathAssignments")
    return json.dumps({name: body[name] for name in names if body.get(name)}, ensure_ascii=False)
