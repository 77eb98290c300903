"""Published pipelines of Azure ML v1.

The keys of the body are those of `PipelineSubmissionInfo` in azureml-pipeline-core 1.62.0
(`azureml/pipeline/core/_restclients/aeva/models/pipeline_submission_info.py`), with `tags` in lower case. A value that
is not set is not sent. The URLs are those of `aml_pipelines_api10.py` in the same package, and of `azureml/_restclient`
in azureml-core 1.61.0.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from shared.core.errors import BodyTooLarge, RenderError
from shared.core.outcomes import Outcome, ServiceAnswer, ServiceRequest
from shared.core.runs import RunFacts, RunList
from shared.pipelines.answers import read_answer
from shared.pipelines.run_records import CORRELATION_KEY, keep_runs, read_run, read_runs
from shared.pipelines.service_json import error_of, get_value, load_json
from shared.pipelines.values import DataPath, Dataset, DatasetReference, RunValues, Scalar
from shared.pipelines.workspaces import CLOUDS, check_address

MAX_BODY_BYTES = 60 * 1024
"""The ledger stores a body as one binary property of its row. The table service allows 64 KiB for a property."""

_SUBMIT = re.compile(r".*/PipelineRuns/PipelineSubmit/[A-Za-z0-9-]+\Z", re.IGNORECASE)


class PublishedPipeline:
    """The kind `published_pipeline`. See `kinds.PipelineKind`."""

    name = "published_pipeline"

    def check_endpoint(self, url: str) -> None:
        """Check that a URL is the submit URL of a published pipeline.

        Raises:
            ValueError: It is not.
        """
        parts = check_address(url)
        if not _SUBMIT.match(parts.path):
            raise ValueError(
                "the URL of a published pipeline ends with /PipelineRuns/PipelineSubmit/<id>. "
                "Copy the pipeline's REST endpoint from the studio"
            )

    def default_scope(self, cloud: str) -> str:
        """Return the scope of a cloud's Azure Resource Manager."""
        return CLOUDS[cloud].scope

    def build_body(self, values: RunValues, *, correlation_id: str) -> bytes:
        """Return the body that starts a run, as UTF-8 JSON.

        Parameters become text as the SDK writes them: `True`, `3`, `1.5`. Paths are not percent-encoded.

        Args:
            values: The values of the run.
            correlation_id: The submission's correlation id. It replaces a tag or property of the same name.

        Raises:
            RenderError: UTF-8 cannot encode a text.
            BodyTooLarge: The body has more than 60 KiB.
        """
        record: dict[str, Any] = {
            "ExperimentName": values.experiment,
            "Description": values.description,
            "RunSource": values.run_source,
            "RunType": values.run_type,
            "ParameterAssignments": {
                name: _text(value) for name, value in values.parameters.items()
            },
            "DataPathAssignments": {
                name: _data_path(path) for name, path in values.data_paths.items()
            },
            "DataSetDefinitionValueAssignments": {
                name: _dataset(dataset) for name, dataset in values.datasets.items()
            },
            "ContinueRunOnStepFailure": values.continue_on_step_failure,
            # Tags are what run history can be queried by. A person can change them, but not the properties.
            "tags": {**values.tags, CORRELATION_KEY: correlation_id},
            "Properties": {**values.properties, CORRELATION_KEY: correlation_id},
        }
        _check_text(values)
        sent = {key: value for key, value in record.items() if value is not None and value != {}}
        body = json.dumps(sent, ensure_ascii=False, separators=(",", ":")).encode()
        if len(body) > MAX_BODY_BYTES:
            raise BodyTooLarge(len(body), limit=MAX_BODY_BYTES)
        return body

    def submit_request(self, endpoint: str, body: bytes) -> ServiceRequest:
        """Return the POST that starts a run."""
        return ServiceRequest(method="POST", url=endpoint, body=body)

    def read_outcome(
        self, answer: ServiceAnswer, *, identity: str, scope: str, now: Callable[[], datetime]
    ) -> Outcome:
        """Return the outcome of the POST from its answer. See `answers.read_answer`."""
        return read_answer(answer, identity=identity, scope=scope, now=now)

    def search_request(
        self, endpoint: str, *, experiment: str, correlation_ids: Sequence[str]
    ) -> ServiceRequest | None:
        """Return run history's query for the runs with one of some correlation ids, without child runs.

        The filter has the form of the SDK's own. None: the endpoint has no run history.
        """
        before, found, after = endpoint.partition("/pipelines/v1.0/")
        if not found:
            return None
        workspace = after.partition("/PipelineRuns/")[0]
        path = f"history/v1.0/{workspace}/experiments/{quote(experiment, safe='')}/runs:query"
        # A filter cannot escape a value, and a correlation id needs no escaping.
        carried = " or ".join(
            f'{field}/{CORRELATION_KEY} eq "{one}"'
            for one in correlation_ids
            for field in ("Tags", "Properties")
        )
        query = {"filter": f"(({carried}) and (ParentRunId eq null))", "top": 100}
        return ServiceRequest(
            method="POST", url=f"{before}/{path}", body=json.dumps(query).encode()
        )

    def list_request(self, endpoint: str) -> ServiceRequest:
        """Return the request for the pipeline's own list of runs."""
        pipeline_id = endpoint.rstrip("/").rpartition("/")[2]
        return ServiceRequest(method="GET", url=f"{_runs(endpoint)}/Pipeline/{pipeline_id}")

    def keep_runs(self, chunks: Iterable[bytes], correlation_ids: Collection[str]) -> bytes:
        """Return a list of runs without those that have none of these correlation ids: see `run_records.keep_runs`."""
        return keep_runs(chunks, correlation_ids)

    def status_request(self, endpoint: str, run_id: str) -> ServiceRequest:
        """Return the request for a run's status."""
        return ServiceRequest(method="GET", url=_run(endpoint, run_id))

    def cancel_request(self, endpoint: str, run_id: str) -> ServiceRequest:
        """Return the request that cancels a run: the `DELETE` of its execution."""
        return ServiceRequest(method="DELETE", url=f"{_run(endpoint, run_id)}/Execution")

    def read_run(self, answer: ServiceAnswer) -> RunFacts | None:
        """Return the run that an answer shows, or None if it shows none."""
        return read_run(answer.content) if answer.status == HTTPStatus.OK else None

    def read_runs(self, answer: ServiceAnswer) -> RunList | None:
        """Return the runs that an answer lists, or None if it is no list of runs.

        A 404 in Azure ML's own words says that the experiment does not exist, so it has no runs.
        """
        if answer.status == HTTPStatus.NOT_FOUND and _is_own_error(answer.content):
            return RunList()
        return read_runs(answer.content) if answer.status == HTTPStatus.OK else None


def _is_own_error(content: bytes) -> bool:
    """Return whether an error has the shape of Azure ML's services: not a proxy's, a gateway's or a web page."""
    record = load_json(content)
    code, _ = error_of(record)
    return code is not None and all(
        isinstance(get_value(record, name), dict) for name in ("error", "correlation")
    )


def _runs(endpoint: str) -> str:
    """Return an endpoint up to and including `/PipelineRuns`."""
    before, _, _ = endpoint.partition("/PipelineRuns/")
    return f"{before}/PipelineRuns"


def _run(endpoint: str, run_id: str) -> str:
    return f"{_runs(endpoint)}/{quote(run_id, safe='')}"


def _text(value: Scalar) -> str:
    """Return a parameter as the SDK writes it. The service takes text only."""
    return repr(value) if isinstance(value, float) else str(value)


def _data_path(path: DataPath) -> dict[str, str]:
    return {"DataStoreName": path.datastore, "RelativePath": path.path}


def _dataset(dataset: Dataset) -> dict[str, Any]:
    if isinstance(dataset, str):
        return {"SavedDataSetReference": {"Id": dataset}}
    if isinstance(dataset, DataPath):
        return {"LiteralValue": _data_path(dataset)}
    return {"DataSetReference": _reference(dataset)}


def _reference(dataset: DatasetReference) -> dict[str, str]:
    parts = {"Id": dataset.id, "Name": dataset.name, "Version": dataset.version}
    return {key: part for key, part in parts.items() if part is not None}


def _check_text(values: RunValues) -> None:
    """Check that UTF-8 can encode all texts: it cannot encode a lone surrogate.

    Raises:
        RenderError: It cannot. `where` names the value.
    """
    mappings: dict[str, Mapping[str, Any]] = {
        "parameters": values.parameters,
        "data_paths": {name: _data_path(path) for name, path in values.data_paths.items()},
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
    for key, mapping in mappings.items():
        texts |= {f"{key}.{name}": [name, value] for name, value in mapping.items()}
    for where, value in texts.items():
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            # The name itself may hold the surrogate, and it goes into the ledger and the logs.
            shown = where.encode(errors="replace").decode()
            raise RenderError(
                shown,
                "the text contains a lone surrogate (half of a character), which UTF-8 cannot encode. Remove it",
            ) from error
