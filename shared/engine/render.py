"""Renders a trigger's values from an event. The same file and the same event always give the same values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.config.model import (
    Config,
    DataPathTemplate,
    DatasetReferenceTemplate,
    Trigger,
    ValueTemplates,
)
from shared.config.templates.template import Template
from shared.core.errors import RenderError
from shared.core.events import Event, HttpEvent
from shared.pipelines.kinds import KINDS
from shared.pipelines.values import DataPath, Dataset, DatasetReference, RunValues, Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedBody:
    """The body of a POST."""

    body: bytes
    """UTF-8 JSON."""
    experiment: str
    """The experiment of the run."""


def render_body(
    config: Config, trigger: Trigger, event: Event, *, correlation_id: str
) -> RenderedBody:
    """Return the body of an event's run, rendered with today's file.

    Raises:
        RenderError: A value cannot be rendered from this event.
    """
    values = render(config, trigger, event)
    body = KINDS[trigger.pipeline.kind].build_body(values, correlation_id=correlation_id)
    return RenderedBody(body=body, experiment=values.experiment)


def render(config: Config, trigger: Trigger, event: Event) -> RunValues:
    """Return the values of the event's run.

    A value that a caller set replaces the trigger's value of that name. It is never rendered as a template.

    Raises:
        RenderError: A value cannot be rendered from this event.
    """
    values = trigger.values
    names = {"trigger": {"name": trigger.name}, "event": {"time": event.time}, **event.names()}
    parameters, data_paths = _asked(config, values, event)
    experiment = (
        event.experiment
        if isinstance(event, HttpEvent) and event.experiment is not None
        else values.experiment.render_text(names, where="experiment")
    )
    if not experiment.strip():
        raise RenderError(
            "experiment",
            "is empty for this event, and Azure ML needs a name; give the template a default",
        )
    return RunValues(
        experiment=experiment,
        parameters={
            name: parameters[name]
            if name in parameters
            else _scalar(value, names, where=f"parameters.{name}")
            for name, value in values.parameters.items()
        },
        data_paths={
            name: data_paths[name]
            if name in data_paths
            else _data_path(value, names, where=f"data_paths.{name}")
            for name, value in values.data_paths.items()
        },
        datasets={
            name: _dataset(value, names, where=f"datasets.{name}")
            for name, value in values.datasets.items()
        },
        tags={
            name: value.render_text(names, where=f"tags.{name}")
            for name, value in values.tags.items()
        },
        properties=values.properties,
        description=values.description.render_text(names, where="description")
        if values.description
        else None,
        run_source=values.run_source,
        run_type=values.run_type,
        continue_on_step_failure=values.continue_on_step_failure,
    )


def _asked(
    config: Config, values: ValueTemplates, event: Event
) -> tuple[Mapping[str, Scalar], Mapping[str, DataPath]]:
    """Return the parameters and data paths that a caller set.

    Raises:
        RenderError: Today's file no longer has one of their names.
    """
    if not isinstance(event, HttpEvent):
        return {}, {}
    # `web.api.requests` checked the names when the request came. A replay meets today's file, which may have changed.
    for name in event.parameters.keys() - values.parameters.keys():
        raise RenderError(
            f"parameters.{name}", "the triggers file no longer lists this parameter; list it again"
        )
    for name in event.data_paths.keys() - values.data_paths.keys():
        raise RenderError(
            f"data_paths.{name}", "the triggers file no longer lists this data path; list it again"
        )
    paths: dict[str, DataPath] = {}
    for name, value in event.data_paths.items():
        if isinstance(value, str):
            paths[name] = DataPath(datastore=values.data_paths[name].datastore, path=value)
        elif value["datastore"] in config.datastores:
            paths[name] = DataPath(datastore=value["datastore"], path=value["path"])
        else:
            found = value["datastore"]
            raise RenderError(
                f"data_paths.{name}",
                f"the triggers file no longer declares datastore {found}; declare it again",
            )
    return event.parameters, paths


def _scalar(value: Template | Scalar, names: Mapping[str, Any], *, where: str) -> Scalar:
    return value.render(names, where=where) if isinstance(value, Template) else value


def _data_path(value: DataPathTemplate, names: Mapping[str, Any], *, where: str) -> DataPath:
    return DataPath(datastore=value.datastore, path=value.path.render_text(names, where=where))


def _dataset(
    value: Template | DatasetReferenceTemplate | DataPathTemplate,
    names: Mapping[str, Any],
    *,
    where: str,
) -> Dataset:
    match value:
        case Template():
            return value.render_text(names, where=where)
        case DataPathTemplate():
            return _data_path(value, names, where=where)
        case DatasetReferenceTemplate():
            parts = {
                part: template.render_text(names, where=f"{where}.{part}")
                for part in ("name", "version", "id")
                if (template := getattr(value, part)) is not None
            }
            return DatasetReference(**parts)
