"""Triggers files for tests, and what they load with."""

from __future__ import annotations

from collections.abc import Callable

from shared.config.model import Config
from shared.core.errors import Problem

ENDPOINT = (
    "https://westeurope.api.azureml.ms/pipelines/v1.0/subscriptions/s/resourceGroups/g/providers/"
    "Microsoft.MachineLearningServices/workspaces/w/PipelineRuns/PipelineSubmit/0a1b"
)
SETTINGS = {
    "SCORING_ENDPOINT": ENDPOINT,
    "DATA_CONTAINER": "data",
    "DATE": "2027-01-01",
    "STORAGE_KEY": "hush-hush",
    "SECRET_TEMPLATE": "{{ hush.hush }}",
    "NESTED": "${DATE} $${DATE}",
    "EMPTY": "",
}
HEAD = """\
datastores:
  ds: {connection: DataStorage, container: data}
  other: {connection: OtherStorage, container: other}
"""
PIPELINES = """\
pipelines:
  scoring:
    kind: published_pipeline
    endpoint: ${SCORING_ENDPOINT}
    experiment: E
"""

type Load = Callable[..., Config]
type ProblemsOf = Callable[..., list[Problem]]


def with_trigger(body: str, *, pipeline: str = "") -> str:
    """Return a file whose only trigger `t` has a body, one key a line."""
    lines = "".join(f"    {line}\n" for line in pipeline.splitlines())
    inner = "".join(f"    {line}\n" for line in body.splitlines())
    return f"{HEAD}{PIPELINES}{lines}triggers:\n  t:\n    pipeline: scoring\n{inner}"


def daily(more: str) -> str:
    """Return a schedule of every day with further keys."""
    return f"schedule: {{frequency: day, {more}}}"


def only(problems: list[Problem]) -> str:
    """Return the only problem of a list, with its path."""
    assert len(problems) == 1, [f"{one.where}: {one.message}" for one in problems]
    return f"{problems[0].where}: {problems[0].message}"
