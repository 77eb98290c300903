"""Merges a pipeline's values with a trigger's, and compiles their templates for one source."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

from shared.config.document import Path
from shared.config.model import DataPathTemplate, DatasetReferenceTemplate, ValueTemplates
from shared.config.problems import Problems, report_unknown
from shared.config.schema.values import DatasetEntry, PlaceEntry, ValuesEntry
from shared.config.templates.template import Template
from shared.core.events import Source
from shared.pipelines.run_records import CORRELATION_KEY

type Layers = tuple[tuple[ValuesEntry, Path], ...]
"""Values and where they stand: the pipeline's first, then the trigger's, which win."""


class ValuesBuilder:
    """Builds the values of one trigger; what is wrong is reported and left out.

    Attributes:
        names: The dotted names that the templates use, once they are built.
    """

    def __init__(
        self,
        path: Path,
        *,
        source: Source,
        own_datastore: str | None,
        datastores: Collection[str],
        from_settings: Collection[Path],
        problems: Problems,
    ) -> None:
        """Prepare for a trigger.

        Args:
            path: Where the trigger stands.
            source: What it starts from.
            own_datastore: The blob trigger's datastore; None for other sources.
            datastores: The names of the declared datastores.
            from_settings: Where a setting's value is.
            problems: Takes the mistakes.
        """
        self._path = path
        self._source = source
        self._own_datastore = own_datastore
        self._datastores = datastores
        self._from_settings = from_settings
        self._problems = problems
        self.names: set[str] = set()

    def build(self, layers: Layers) -> ValueTemplates:
        """Return the merged values; maps are merged by name."""
        return ValueTemplates(
            experiment=self._text("experiment", layers) or Template(text=""),
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

    def _template(self, text: str, where: Path) -> Template:
        """Compile a text; a mistake is reported where the text stands, also for another trigger."""
        try:
            template = Template.parse(text, source=self._source)
        except ValueError as error:
            cause = str(error)
            if where in self._from_settings:
                cause = (
                    "with its settings filled in it is no template that this trigger can use, "
                    "and what they say is not shown"
                )
            if where[0] != self._path[0]:
                cause = f"for the trigger {self._path[1]}, {cause}; override it in the trigger"
            self._problems.add(where, f"found {self._problems.found(where)}; {cause}")
            return Template(text="")
        self.names |= template.names
        return template

    def _plain(self, text: str, where: Path) -> str:
        """Return the value of a property, which stays as it is for every run."""
        if "{{" in text:
            self._problems.add(
                where,
                f"found {self._problems.found(where)}; properties are no templates; use tags",
            )
        return text

    def _is_free(self, name: str, where: Path) -> bool:
        """Whether a tag or property may have that name."""
        if name.lower() != CORRELATION_KEY:
            return True
        self._problems.add(
            where,
            f"the name {name} is taken: the app writes its own key there; use another name",
            at_key=True,
        )
        return False

    def _data_paths(self, layers: Layers) -> Iterator[tuple[str, DataPathTemplate]]:
        for name, value, where in _merged("data_paths", layers):
            if isinstance(value, PlaceEntry):
                yield name, self._place(value, where)
            elif self._own_datastore is not None:
                path = self._template(value, where)
                yield name, DataPathTemplate(datastore=self._own_datastore, path=path)
            elif self._source is not Source.BLOB:
                self._report_homeless(name, where)

    def _report_homeless(self, name: str, where: Path) -> None:
        """Report a path without a datastore: at the trigger, as the pipeline serves others too."""
        inherited = "" if where[0] == self._path[0] else f", which {where[0]}.{where[1]} gives,"
        self._problems.add(
            (*self._path, "data_paths", name),
            f"text{inherited} is a path in a blob trigger's own datastore, and this trigger "
            f"starts from {self._source.value}; write {{datastore: …, path: …}} here",
        )

    def _place(self, value: PlaceEntry, where: Path) -> DataPathTemplate:
        if value.datastore not in self._datastores:
            report_unknown(
                (*where, "datastore"),
                value.datastore,
                known=self._datastores,
                what="datastore",
                problems=self._problems,
            )
        return DataPathTemplate(
            datastore=value.datastore, path=self._template(value.path, (*where, "path"))
        )

    def _dataset(
        self, value: str | DatasetEntry | PlaceEntry, where: Path
    ) -> Template | DatasetReferenceTemplate | DataPathTemplate:
        match value:
            case str():
                return self._template(value, where)
            case PlaceEntry():
                return self._place(value, where)
        parts = {
            key: self._template(text, (*where, key))
            for key in ("name", "version", "id")
            if (text := getattr(value, key)) is not None
        }
        return DatasetReferenceTemplate(**parts)


def _last(key: str, layers: Layers) -> tuple[Any, Path]:
    """Return the value of a key that the last layer with one has, and where it stands."""
    found: tuple[Any, Path] = (None, ())
    for entry, path in layers:
        value = getattr(entry, key)
        if value is not None:
            found = (value, (*path, key))
    return found


def _merged(key: str, layers: Layers) -> Iterator[tuple[str, Any, Path]]:
    """Yield name, value and place of each item of a map, merged by name."""
    merged: dict[str, tuple[Any, Path]] = {}
    for entry, path in layers:
        for name, value in getattr(entry, key).items():
            merged[name] = (value, (*path, key, name))
    for name, (value, where) in merged.items():
        yield name, value, where
