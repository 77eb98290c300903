"""Compiles the triggers: each with its source, its pipeline and its values."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from shared.config.compile.sources import compile_blob, compile_http, compile_schedule
from shared.config.compile.values import Layers, ValuesCompiler
from shared.config.document import KeyPath
from shared.config.model import (
    BlobDelivery,
    BlobSource,
    Datastore,
    HttpSource,
    Pipeline,
    ScheduleSource,
    Trigger,
)
from shared.config.problems import Problems
from shared.config.schema.file import TriggerEntry
from shared.config.schema.sections import FileEntries
from shared.core.events import Source
from shared.core.submissions import OnUnknown, Policy
from shared.core.times import read_duration

# Iterating the tuple is much faster than iterating the enum.
_SOURCES = tuple(Source)


class TriggersCompiler:
    """Compiles the triggers of one file, and the values of the pipelines that no trigger starts."""

    def __init__(
        self,
        entries: FileEntries,
        *,
        datastores: Mapping[str, Datastore],
        pipelines: Mapping[str, Pipeline],
        default_delivery: BlobDelivery,
        from_settings: Collection[KeyPath],
        problems: Problems,
    ) -> None:
        """Prepare for a file.

        Args:
            entries: The maps of the file.
            datastores: The datastores without problems.
            pipelines: The pipelines without problems.
            default_delivery: How the host detects blobs if a trigger does not say it.
            from_settings: The paths of values that came from an app setting.
            problems: Takes the problems.
        """
        self._entries = entries
        self._datastores = datastores
        self._pipelines = pipelines
        self._default_delivery = default_delivery
        self._from_settings = from_settings
        self._problems = problems

    def compile(self) -> dict[str, Trigger]:
        """Return the triggers without problems, in the order of the file."""
        return {
            name: trigger
            for name, entry in self._entries.triggers.items()
            if (trigger := self._trigger(name, entry)) is not None
        }

    def check_unused(self) -> None:
        """Check the values of the pipelines that no trigger starts."""
        used = {entry.pipeline for entry in self._entries.triggers.values()}
        for name, entry in self._entries.pipelines.items():
            if name not in used:
                path: KeyPath = ("pipelines", name)
                self._values(path, source=None).compile(((entry, path),))

    def _trigger(self, name: str, entry: TriggerEntry) -> Trigger | None:
        """Return a trigger, or None if its source or its pipeline has problems."""
        path: KeyPath = ("triggers", name)
        self._check_pipeline(entry, path)
        source = self._source_of(entry, path)
        if source is None:
            return None
        layers = self._layers(entry, path)
        own_datastore = entry.blob.datastore if entry.blob else None
        compiler = self._values(path, source=source, own_datastore=own_datastore)
        values = compiler.compile(layers)
        compiled = self._source(entry, path, names=compiler.names)
        if len(layers) > 1:
            self._check_experiment(entry, path, layers)
        pipeline = self._pipelines.get(entry.pipeline or "")
        if compiled is None or pipeline is None:
            return None
        return Trigger(
            name=name,
            source=compiled,
            pipeline=pipeline,
            values=values,
            policy=Policy(
                give_up_after=read_duration(entry.give_up_after),
                on_unknown=OnUnknown(entry.on_unknown),
            ),
            enabled=entry.enabled,
        )

    def _check_pipeline(self, entry: TriggerEntry, path: KeyPath) -> None:
        declared = self._entries.declared_pipelines
        if entry.pipeline is not None and entry.pipeline not in declared:
            self._problems.add_unknown(
                (*path, "pipeline"), entry.pipeline, declared=declared, kind="pipeline"
            )

    def _source_of(self, entry: TriggerEntry, path: KeyPath) -> Source | None:
        """Return the kind of a trigger's source, or None if the trigger does not have exactly one."""
        given = [source for source in _SOURCES if source in entry.model_fields_set]
        if len(given) == 1:
            return given[0]
        if not any(self._problems.has((*path, source.value)) for source in _SOURCES):
            self._problems.add(
                path,
                f"a trigger has exactly one of {', '.join(_SOURCES)}; "
                f"this one has {' and '.join(given) or 'none'}",
                at_key=True,
            )
        return None

    def _layers(self, entry: TriggerEntry, path: KeyPath) -> Layers:
        pipeline = self._entries.pipelines.get(entry.pipeline or "")
        if pipeline is None:
            return ((entry, path),)
        return ((pipeline, ("pipelines", entry.pipeline or "")), (entry, path))

    def _values(
        self, path: KeyPath, *, source: Source | None, own_datastore: str | None = None
    ) -> ValuesCompiler:
        return ValuesCompiler(
            path,
            source=source,
            own_datastore=own_datastore,
            declared_datastores=self._entries.declared_datastores,
            from_settings=self._from_settings,
            problems=self._problems,
        )

    def _source(
        self, entry: TriggerEntry, path: KeyPath, *, names: Collection[str]
    ) -> ScheduleSource | BlobSource | HttpSource | None:
        """Return the source of a trigger, or None if it has problems."""
        if entry.schedule is not None:
            return compile_schedule(entry.schedule, (*path, "schedule"), problems=self._problems)
        if entry.http is not None:
            return compile_http(entry.http, names=names)
        if entry.blob is None:
            return None
        return compile_blob(
            entry.blob,
            (*path, "blob"),
            datastores=self._datastores,
            declared_datastores=self._entries.declared_datastores,
            default_delivery=self._default_delivery,
            problems=self._problems,
        )

    def _check_experiment(self, entry: TriggerEntry, path: KeyPath, layers: Layers) -> None:
        """Report a trigger without an experiment, neither of its own nor of its pipeline."""
        if not any(
            layer.experiment or self._problems.has((*where, "experiment"))
            for layer, where in layers
        ):
            self._problems.add(
                (*path, "experiment"),
                f"the trigger has no experiment, and neither has pipelines.{entry.pipeline}; "
                "add experiment to one of them",
                at_key=True,
            )
