"""Loads `triggers.yaml`: read, fill in settings, check, merge, compile.

All mistakes are reported together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Any

from shared.config.compile.schedules import schedule_source
from shared.config.compile.sources import blob_source, http_source
from shared.config.compile.values import Layers, ValuesBuilder
from shared.config.document import DocumentError, Path, read_document
from shared.config.model import (
    BlobDelivery,
    BlobSource,
    Config,
    Datastore,
    HttpSource,
    Pipeline,
    ScheduleSource,
    Trigger,
)
from shared.config.placeholders import PlaceholderResolver
from shared.config.problems import Problems, report_unknown
from shared.config.schema import checks as rules
from shared.config.schema.file import (
    DatastoreEntry,
    PipelineEntry,
    TriggerEntry,
    TriggersFile,
    WorkspaceEntry,
)
from shared.config.schema.read import read_entry
from shared.config.schema.values import Entry
from shared.core.errors import FileError, Problem
from shared.core.events import Source
from shared.core.submissions import OnUnknown, Policy
from shared.core.times import read_duration
from shared.pipelines.kinds import KINDS
from shared.pipelines.workspaces import WorkspaceId, read_workspace

MAX_BYTES = 1024 * 1024
"""1,000 triggers take a quarter of it; the host waits for the file at every cold start."""

_SOURCES = tuple(source.value for source in Source)


def load_config(
    path: FilePath,
    *,
    settings: Mapping[str, str],
    connection_problem: Callable[[str], str | None] = lambda _connection: None,
) -> Config:
    """Load a triggers file.

    Args:
        path: The file.
        settings: The app settings, by name: the process's environment, in the app.
        connection_problem: Says what keeps a connection that a blob trigger needs from being used, if anything does.

    Raises:
        FileError: The file cannot be used; it carries every mistake.
    """
    file = str(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        message = f"the file cannot be read: {error.strerror}; TRIGGERS_FILE says where it is"
        raise FileError(file, [Problem(where="the file", message=message)]) from None
    if len(content) > MAX_BYTES:
        message = f"the file has {len(content)} bytes; at most {MAX_BYTES} are allowed"
        raise FileError(file, [Problem(where="the file", message=message)])
    try:
        loader = _Loader(content, settings=settings)
    except DocumentError as error:
        raise FileError(file, [error.problem]) from None
    config = loader.config(file, digest=hashlib.sha256(content).hexdigest()[:12])
    loader.check_connections(connection_problem)
    if loader.problems:
        raise FileError(file, loader.problems.in_order())
    return config


class _Loader:
    """Loads one file; what is wrong goes to `problems`, and the rest is checked all the same."""

    def __init__(self, content: bytes, *, settings: Mapping[str, str]) -> None:
        document = read_document(content)
        self.problems = Problems(document)
        filler = PlaceholderResolver(document, settings=settings, problems=self.problems)
        self._data = filler.data()
        self._document = document
        self._from_settings = filler.from_settings
        self._used: set[str] = set()
        self._watched: dict[str, str] = {}
        self._delivery = self._default_delivery(settings)

    def _default_delivery(self, settings: Mapping[str, str]) -> BlobDelivery:
        """Return how the host learns of blobs where a trigger does not say it."""
        try:
            return BlobDelivery(settings.get("BLOB_SOURCE") or BlobDelivery.EVENT_GRID)
        except ValueError:
            allowed = ", ".join(BlobDelivery)
            self.problems.add_setting("BLOB_SOURCE", f"its value is not known; allowed: {allowed}")
            return BlobDelivery.EVENT_GRID

    def config(self, file: str, *, digest: str) -> Config:
        """Return the whole file; it is only good when there are no problems."""
        self._check_top()
        datastores = {
            name: Datastore(name=name, connection=entry.connection, container=entry.container)
            for name, entry in self._entries("datastores", DatastoreEntry).items()
        }
        entries = self._entries("pipelines", PipelineEntry)
        workspace = self._workspace(entries)
        pipelines = {
            name: Pipeline(
                name=name,
                kind=entry.kind,
                endpoint=entry.endpoint,
                scope=entry.scope or KINDS[entry.kind].default_scope(workspace.cloud),
            )
            for name, entry in entries.items()
        }
        triggers = {}
        for name, entry in self._entries("triggers", TriggerEntry).items():
            trigger = self._trigger(name, entry, datastores, pipelines, entries)
            if trigger is not None:
                triggers[name] = trigger
        self._check_unused(entries)
        return Config(
            file=file,
            digest=digest,
            workspace=workspace,
            datastores=datastores,
            pipelines=pipelines,
            triggers=triggers,
        )

    def check_connections(self, connection_problem: Callable[[str], str | None]) -> None:
        """Report what is wrong with the connections of the datastores that blob triggers watch."""
        for name, connection in self._watched.items():
            message = connection_problem(connection)
            if message is not None:
                self.problems.add(("datastores", name, "connection"), message)

    def _check_top(self) -> None:
        """Check the file's own keys; what is below them is read one by one."""
        data = self._data
        if not isinstance(data, dict):
            self.problems.add((), "a map is needed, with at least pipelines and triggers")
            self._data = {}
            return
        shallow = {
            key: {} if isinstance(value, dict) and key in TriggersFile.model_fields else value
            for key, value in data.items()
        }
        read_entry(TriggersFile, shallow, (), self.problems)

    def _entries[E: Entry](self, section: str, model: type[E]) -> dict[str, E]:
        """Read the mappings of a section."""
        found: dict[str, E] = {}
        section_data = self._data.get(section)
        for name, data in section_data.items() if isinstance(section_data, dict) else ():
            path = (section, name)
            if section != "datastores":
                try:
                    rules.name(name)
                except ValueError as error:
                    self.problems.add(path, f"found {name}; {error}", at_key=True)
            entry = read_entry(model, data, path, self.problems)
            if entry is not None:
                found[name] = entry
        return found

    def _workspace(self, pipelines: Mapping[str, PipelineEntry]) -> WorkspaceId:
        """Return the workspace: what the file says, else what the first endpoint's address does."""
        data = self._data.get("workspace", {})
        given = read_entry(WorkspaceEntry, data, ("workspace",), self.problems)
        first = next(iter(pipelines.values()), None)
        read = read_workspace(first.endpoint) if first else WorkspaceId()
        said = given or WorkspaceEntry()
        return WorkspaceId(
            subscription=said.subscription or read.subscription,
            resource_group=said.resource_group or read.resource_group,
            name=said.name or read.name,
            region=said.region or read.region,
            cloud=said.cloud or read.cloud,
        )

    def _trigger(
        self,
        name: str,
        entry: TriggerEntry,
        datastores: Mapping[str, Datastore],
        pipelines: Mapping[str, Pipeline],
        pipeline_entries: Mapping[str, PipelineEntry],
    ) -> Trigger | None:
        """Return a trigger, or None when it is not clear what it starts from or what it starts."""
        path: Path = ("triggers", name)
        layers: Layers = ((entry, path),)
        self._used.add(entry.pipeline)
        declared = self._declared("pipelines")
        if entry.pipeline in pipeline_entries:
            pipeline_path: Path = ("pipelines", entry.pipeline)
            layers = ((pipeline_entries[entry.pipeline], pipeline_path), *layers)
        elif entry.pipeline not in declared:
            report_unknown(
                (*path, "pipeline"),
                entry.pipeline,
                known=declared,
                what="pipeline",
                problems=self.problems,
            )
        source = self._source_of(path)
        if source is None:
            return None
        own = entry.blob.datastore if entry.blob else None
        if own is not None and own in datastores:
            self._watched[own] = datastores[own].connection
        builder = self._values_builder(path, source=source, own=own, problems=self.problems)
        values = builder.build(layers)
        made = self._source(entry, path, datastores, builder.names)
        if entry.pipeline not in pipelines:
            return None
        if not any(
            layer.experiment or self.problems.has((*where, "experiment")) for layer, where in layers
        ):
            self._report_no_experiment(path, entry.pipeline)
        if made is None:
            return None
        policy = Policy(
            give_up_after=read_duration(entry.give_up_after),
            on_unknown=OnUnknown(entry.on_unknown),
        )
        pipeline = pipelines[entry.pipeline]
        return Trigger(
            name=name,
            source=made,
            pipeline=pipeline,
            values=values,
            policy=policy,
            enabled=entry.enabled,
        )

    def _declared(self, section: str) -> list[str]:
        """Return the names of a section, those with mistakes too."""
        data = self._data.get(section)
        return list(data) if isinstance(data, dict) else []

    def _source_of(self, path: Path) -> Source | None:
        """Return what a trigger starts from; it is one thing exactly."""
        data: dict[str, Any] = self._data["triggers"][path[1]]
        given = [source for source in _SOURCES if source in data]
        if len(given) == 1:
            return Source(given[0])
        if not any(self.problems.has((*path, source)) for source in _SOURCES):
            self.problems.add(
                path,
                f"a trigger has exactly one of {', '.join(_SOURCES)}; "
                f"this one has {' and '.join(given) or 'none'}",
                at_key=True,
            )
        return None

    def _source(
        self,
        entry: TriggerEntry,
        path: Path,
        datastores: Mapping[str, Datastore],
        names: set[str],
    ) -> ScheduleSource | BlobSource | HttpSource | None:
        """Return what a trigger starts from, or None when it cannot be used."""
        if entry.schedule is not None:
            return schedule_source(entry.schedule, (*path, "schedule"), problems=self.problems)
        if entry.http is not None:
            return http_source(entry.http, names=names)
        if entry.blob is None:
            return None
        return blob_source(
            entry.blob,
            (*path, "blob"),
            datastores=datastores,
            declared=self._declared("datastores"),
            delivery=self._delivery,
            problems=self.problems,
        )

    def _report_no_experiment(self, path: Path, pipeline: str) -> None:
        self.problems.add(
            (*path, "experiment"),
            f"neither the trigger nor pipelines.{pipeline} names an experiment; "
            "add experiment to one of them",
            at_key=True,
        )

    def _values_builder(
        self, path: Path, *, source: Source, own: str | None, problems: Problems
    ) -> ValuesBuilder:
        return ValuesBuilder(
            path,
            source=source,
            own_datastore=own,
            datastores=self._declared("datastores"),
            from_settings=self._from_settings,
            problems=problems,
        )

    def _check_unused(self, entries: Mapping[str, PipelineEntry]) -> None:
        """Check the templates of pipelines that no trigger names: some source must suit each."""
        for name, entry in entries.items():
            if name in self._used:
                continue
            trials = [Problems(self._document) for _ in Source]
            for source, trial in zip(Source, trials, strict=True):
                path: Path = ("pipelines", name)
                own = "any" if source is Source.BLOB else None
                self._values_builder(path, source=source, own=own, problems=trial).build(
                    ((entry, path),)
                )
            for place in frozenset.intersection(*(trial.places for trial in trials)):
                self.problems.add(place, trials[0].at(place))
