"""The POST body of an Azure ML v1 published pipeline.

Its keys are those of `PipelineSubmissionInfo` in azureml-pipeline-core 1.62.0
(`azureml/pipeline/core/_restclients/aeva/models/pipeline_submission_info.py`), `tags` in lower case among them. What is
not set is not sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from shared.core.errors import BodyTooLarge, RenderError
from shared.core.runs import DataPath, Dataset, DatasetReference, RunValues, Scalar

MAX_BODY_BYTES = 60 * 1024
"""A body is one binary property of the ledger's row; the table service takes 64 KiB."""

STAMP = "submission"
"""The tag and property that hold our stamp: `[A-Za-z0-9_-]` only, since run history's filters do not escape."""


def build_body(values: RunValues, *, stamp: str) -> bytes:
    """Write the body of a submission, as UTF-8 JSON.

    Parameters become text as the SDK writes them: `True`, `3`, `1.5`. Paths go raw, never percent-encoded.

    Args:
        values: What the run is started with.
        stamp: Our key of the submission, by which a lost run is found.

    Raises:
        RenderError: A text cannot be written in UTF-8.
        BodyTooLarge: The body has more than 60 KiB.
    """
    record: dict[str, Any] = {
        "ExperimentName": values.experiment,
        "Description": values.description,
        "RunSource": values.run_source,
        "RunType": values.run_type,
        "ParameterAssignments": {name: _text(value) for name, value in values.parameters.items()},
        "DataPathAssignments": {name: _place(path) for name, path in values.data_paths.items()},
        "DataSetDefinitionValueAssignments": {
            name: _dataset(dataset) for name, dataset in values.datasets.items()
        },
        "ContinueRunOnStepFailure": values.continue_on_step_failure,
        "tags": {**values.tags, STAMP: stamp},
        "Properties": {**values.properties, STAMP: stamp},
    }
    _check_text(values)
    sent = {key: value for key, value in record.items() if value is not None and value != {}}
    body = json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode()
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge(len(body), limit=MAX_BODY_BYTES)
    return body


def run_url(endpoint: str, run_id: str) -> str:
    """Return the address of a run: `GET` shows it (azureml-pipeline-core 1.62.0, `aml_pipelines_api10.py`)."""
    return f"{_service(endpoint)}/{quote(run_id, safe='')}"


def execution_url(endpoint: str, run_id: str) -> str:
    """Return the address of a run's execution: `DELETE` cancels it (the same source)."""
    return f"{run_url(endpoint, run_id)}/Execution"


def runs_url(endpoint: str) -> str:
    """Return the address of the pipeline's own run list (the same source)."""
    return f"{_service(endpoint)}/Pipeline/{endpoint.rstrip('/').rpartition('/')[2]}"


def query_url(endpoint: str, experiment: str) -> str | None:
    """Return the address of run history's query in an experiment; None where the endpoint does not tell it.

    Source: azureml-core 1.61.0, `azureml/_restclient`: `/history/v1.0{workspace}/experiments/{name}/runs:query`.
    """
    before, found, after = endpoint.partition("/pipelines/v1.0/")
    if not found:
        return None
    workspace = after.partition("/PipelineRuns/")[0]
    return f"{before}/history/v1.0/{workspace}/experiments/{quote(experiment, safe='')}/runs:query"


def query_body(stamp: str) -> bytes:
    """Return the query for runs that carry a stamp; run history's filters do not escape, and a stamp needs none."""
    return json.dumps({"filter": f'(Tags/{STAMP} eq "{stamp}")', "top": 100}).encode()


def _service(endpoint: str) -> str:
    """Return an endpoint's part up to and with `/PipelineRuns`."""
    before, _, _ = endpoint.partition("/PipelineRuns/")
    return f"{before}/PipelineRuns"


def _text(value: Scalar) -> str:
    """Write a parameter as the SDK does: the service knows text only."""
    return repr(value) if isinstance(value, float) else str(value)


def _place(path: DataPath) -> dict[str, str]:
    return {"DataStoreName": path.datastore, "RelativePath": path.path}


def _dataset(dataset: Dataset) -> dict[str, Any]:
    if isinstance(dataset, str):
        return {"SavedDataSetReference": {"Id": dataset}}
    if isinstance(dataset, DataPath):
        return {"LiteralValue": _place(dataset)}
    return {"DataSetReference": _reference(dataset)}


def _reference(dataset: DatasetReference) -> dict[str, str]:
    parts = {"Id": dataset.id, "Name": dataset.name, "Version": dataset.version}
    return {key: part for key, part in parts.items() if part is not None}


def _check_text(values: RunValues) -> None:
    """Refuse lone surrogates, which UTF-8 cannot hold, with the place where one is."""
    places: dict[str, Mapping[str, Any]] = {
        "parameters": values.parameters,
        "data_paths": {name: _place(path) for name, path in values.data_paths.items()},
        "datasets": {name: _dataset(dataset) for name, dataset in values.datasets.items()},
        "tags": values.tags,
        "properties": values.properties,
    }
    texts: dict[str, Any] = {
        "experiment": values.experiment,
        "description": values.description,
        "run_source": values.run_source,
        "run_type": values.run_type,
    }
    for place, named in places.items():
        texts |= {f"{place}.{name}": [name, value] for name, value in named.items()}
    for where, value in texts.items():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            # The name itself may be what cannot be written, and it goes into records and logs.
            shown = where.encode(errors="replace").decode()
            raise RenderError(
                shown, "the text holds half a character (a lone surrogate), which cannot be sent"
            ) from error
