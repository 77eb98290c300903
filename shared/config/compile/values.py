"""Merges the values of a pipeline with those of a trigger, and compiles their templates."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from shared.config.document import KeyPath
from shared.config.model import DataPathTemplate, DatasetReferenceTemplate, ValueTemplates
from shared.config.problems import Problems
from shared.config.schema.values import DatasetEntry, DatastorePathEntry, ValuesEntry
from shared.config.templates.template import Template
from shared.core.events import Source
from shared.pipelines.run_records import CORRELATION_KEY

type Layers = tuple[tuple[ValuesEntry, KeyPath], ...]
"""Values with their paths: those of the pipeline first, then those of the trigger, which win."""

_EMPTY = Template(text="")
"""Stands in for a template with a problem, so that the other values can be checked."""


class ValuesCompiler:
    """Compiles the values of one trigger, or of a pipeline that no trigger starts."""

    names: set[str]
    """The dotted names that the compiled templates use."""

    def __init__(
        self,
        path: KeyPath,
        *,
        source: Source | None,
        own_datastore: str | None,
        declared_datastores: Collection[str],
        from_settings: Collection[KeyPath],
        problems: Problems,
    ) -> None:
        """Prepare for a trigger or a pipeline.

        Args:
            path: The path of the trigger or the pipeline.
            source: What the trigger starts from. None for a pipeline: each text must be good for one source.
            own_datastore: The datastore of a blob trigger, or None.
            declared_datastores: The names of all datastores in the file.
            from_settings: The paths of values that came from an app setting.
            problems: Takes the problems. Values with problems are left out.
        """
        self._path = path
        self._source = source
        self._own_datastore = own_datastore
        self._declared_datastores = declared_datastores
        self._from_settings = from_settings
        self._problems = problems
        self.names = set()

    def compile(self, layers: Layers) -> ValueTemplates:
        """Return the merged values. Maps are merged by name."""
        return ValueTemplates(
            experiment=self._text("experiment", layers) or _EMPTY,
            parameters={
                name: self._template(value, where) if isinstance(value, str) else value
                for name, value, where in _merged("parameters", layers)
            },
            data_paths=dict(self._data_paths(layers)),
            datasets={
                name: self._dataset(value, where)
                for name, value, where in _merged("datasets", layers)
            },
            tags={
                name: self._template(text, where)
                for name, text, where in _merged("tags", layers)
                if self._is_free(name, where)
            },
            properties={
                name: self._plain(text, where)
                for name, text, where in _merged("properties", layers)
                if self._is_free(name, where)
            },
            description=self._text("description", layers),
            run_source=_last("run_source", layers)[0] or "SDK",
            run_type=_last("run_type", layers)[0],
            continue_on_step_failure=_last("continue_on_step_failure", layers)[0],
        )

    def _text(self, key: str, layers: Layers) -> Template | None:
        text, where = _last(key, layers)
        return None if text is None else self._template(text, where)

    def _template(self, text: str, where: KeyPath) -> Template:
        return self._parsed(text, where, source=self._source)

    def _parsed(self, text: str, where: KeyPath, *, source: Source | None) -> Template:
        """Compile a text. A problem is reported where the text is, although another trigger may accept it."""
        try:
            template = Template.parse(text, source=source)
        except ValueError as error:
            reason = str(error)
            if where in self._from_settings:
                # The reason may repeat a part of the text.
                reason = (
                    "with its app settings filled in, it is not a template that is allowed here; "
                    "the values of the settings are not shown"
                )
            if where[0] != self._path[0]:
                reason = f"for the trigger {self._path[1]}, {reason}; override it in the trigger"
            self._problems.add_found(where, reason)
            return _EMPTY
        self.names |= template.names
        return template

    def _plain(self, text: str, where: KeyPath) -> str:
        """Return the value of a property, which is the same for every run."""
        if "{{" in text:
            self._problems.add_found(where, "properties cannot have templates; use tags")
        return text

    def _is_free(self, name: str, where: KeyPath) -> bool:
        """Return whether a tag or a property may have a name."""
        if name.lower() != CORRELATION_KEY:
            return True
        self._problems.add(
            where, f"the name {name} is reserved for the app; use another name", at_key=True
        )
        return False

    def _data_paths(self, layers: Layers) -> Iterator[tuple[str, DataPathTemplate]]:
        for name, value, where in _merged("data_paths", layers):
            if isinstance(value, DatastorePathEntry):
                yield name, self._datastore_path(value, where)
            elif self._source in (Source.BLOB, None):
                # Only a blob trigger has a datastore of its own, so only its names make sense here.
                path = self._parsed(value, where, source=Source.BLOB)
                yield name, DataPathTemplate(datastore=self._own_datastore or "", path=path)
            else:
                self._report_no_datastore(name, where, source=self._source)

    def _report_no_datastore(self, name: str, where: KeyPath, *, source: Source) -> None:
        """Report a path without a datastore. It is a problem of the trigger, as its pipeline serves others too."""
        origin = "" if where[0] == self._path[0] else f" (from {where[0]}.{where[1]})"
        self._problems.add(
            (*self._path, "data_paths", name),
            f"text{origin} is a path in the datastore of a blob trigger, and this trigger "
            f"starts from {source.value}; write {{datastore: …, path: …}} here",
        )

    def _datastore_path(self, value: DatastorePathEntry, where: KeyPath) -> DataPathTemplate:
        datastore = value.datastore
        if datastore is not None and datastore not in self._declared_datastores:
            self._problems.add_unknown(
                (*where, "datastore"),
                datastore,
                declared=self._declared_datastores,
                kind="datastore",
            )
        path = _EMPTY if value.path is None else self._template(value.path, (*where, "path"))
        return DataPathTemplate(datastore=datastore or "", path=path)

    def _dataset(
        self, value: str | DatasetEntry | DatastorePathEntry, where: KeyPath
    ) -> Template | DatasetReferenceTemplate | DataPathTemplate:
        match value:
            case str():
                return self._template(value, where)
            case DatastorePathEntry():
                return self._datastore_path(value, where)
        parts = {
            key: self._template(text, (*where, key))
            for key in ("name", "version", "id")
            if (text := getattr(value, key)) is not None
        }
        return DatasetReferenceTemplate(**parts)


def _last(key: str, layers: Layers) -> tuple[Any, KeyPath]:
    """Return the value of a key in the last layer that has one, and its path."""
    found: tuple[Any, KeyPath] = (None, ())
    for entry, path in layers:
        value = getattr(entry, key)
        if value is not None:
            found = (value, (*path, key))
    return found


def _merged(key: str, layers: Layers) -> Iterator[tuple[str, Any, KeyPath]]:
    """Yield name, value and path of each item of a map that is merged by name."""
    merged: dict[str, tuple[Any, KeyPath]] = {}
    for entry, path in layers:
        for name, value in getattr(entry, key).items():
            merged[name] = (value, (*path, key, name))
    for name, (value, where) in merged.items():
        yield name, value, where
