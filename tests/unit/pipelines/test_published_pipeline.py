"""The requests of a published pipeline, as they go over the wire, and its endpoint."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import BodyTooLarge, RenderError
from shared.core.outcomes import ServiceAnswer
from shared.pipelines.published_pipeline import MAX_BODY_BYTES, PublishedPipeline
from shared.pipelines.values import DataPath, DatasetReference, RunValues, Scalar

CORRELATION_ID = "0123456789abcdef0123456789abcdef-1"
KIND = PublishedPipeline()
WORKSPACE = (
    "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/w"
)
SUBMIT = "/PipelineRuns/PipelineSubmit/0a1b-2c"
ENDPOINT = f"https://westeurope.api.azureml.ms/pipelines/v1.0{WORKSPACE}{SUBMIT}"


def body(values: RunValues) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(
        PublishedPipeline().build_body(values, correlation_id=CORRELATION_ID)
    )
    return record


def test_the_documented_body_of_logic_apps_comes_out_equal_but_for_the_correlation_id() -> None:
    sent = body(
        RunValues(
            experiment="MyRestPipeline",
            parameters={"input_string": "sample_string3"},
            data_paths={"input_datapath": DataPath(datastore="<datastore-name>", path="<blob>")},
        )
    )
    assert sent.pop("tags") == {"submission": CORRELATION_ID}
    assert sent.pop("Properties") == {"submission": CORRELATION_ID}
    assert sent == {
        "DataPathAssignments": {
            "input_datapath": {"DataStoreName": "<datastore-name>", "RelativePath": "<blob>"}
        },
        "ExperimentName": "MyRestPipeline",
        "ParameterAssignments": {"input_string": "sample_string3"},
        "RunSource": "SDK",
    }


def test_a_value_that_is_not_set_is_not_sent() -> None:
    assert body(RunValues(experiment="e")) == {
        "ExperimentName": "e",
        "RunSource": "SDK",
        "tags": {"submission": CORRELATION_ID},
        "Properties": {"submission": CORRELATION_ID},
    }


def test_each_value_that_is_set_has_the_sdks_own_key() -> None:
    sent = body(
        RunValues(
            experiment="e",
            description="d",
            run_source="me",
            run_type="HTTP",
            continue_on_step_failure=False,
            tags={"t": "1"},
            properties={"p": "2"},
        )
    )
    assert sent == {
        "ExperimentName": "e",
        "Description": "d",
        "RunSource": "me",
        "RunType": "HTTP",
        "ContinueRunOnStepFailure": False,
        "tags": {"t": "1", "submission": CORRELATION_ID},
        "Properties": {"p": "2", "submission": CORRELATION_ID},
    }


def test_the_correlation_id_replaces_a_tag_of_the_same_name() -> None:
    values = RunValues(experiment="e", tags={"submission": "x"}, properties={"submission": "x"})
    assert body(values)["tags"] == body(values)["Properties"] == {"submission": CORRELATION_ID}


def test_parameters_are_text_as_the_sdk_writes_it() -> None:
    parameters: dict[str, Scalar] = {
        "n": 3,
        "x": 1.5,
        "big": 1e300,
        "yes": True,
        "no": False,
        "s": "1e5",
        "empty": "",
    }
    assert body(RunValues(experiment="e", parameters=parameters))["ParameterAssignments"] == {
        "n": "3",
        "x": "1.5",
        "big": "1e+300",
        "yes": "True",
        "no": "False",
        "s": "1e5",
        "empty": "",
    }


def test_datasets_come_in_their_three_forms() -> None:
    sent = body(
        RunValues(
            experiment="e",
            datasets={
                "saved": "id-1",
                "registered": DatasetReference(name="sales", version="7"),
                "by_id": DatasetReference(id="id-2"),
                "path": DataPath(datastore="store", path="a/b"),
            },
        )
    )
    assert sent["DataSetDefinitionValueAssignments"] == {
        "saved": {"SavedDataSetReference": {"Id": "id-1"}},
        "registered": {"DataSetReference": {"Name": "sales", "Version": "7"}},
        "by_id": {"DataSetReference": {"Id": "id-2"}},
        "path": {"LiteralValue": {"DataStoreName": "store", "RelativePath": "a/b"}},
    }


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=1_024))
def test_paths_and_parameters_arrive_exactly(text: str) -> None:
    sent = body(
        RunValues(
            experiment="e",
            parameters={"p": text},
            data_paths={"d": DataPath(datastore="s", path=text)},
        )
    )
    assert sent["DataPathAssignments"]["d"]["RelativePath"] == text
    assert sent["ParameterAssignments"]["p"] == text


def test_text_goes_as_utf_8_and_raw() -> None:
    path = "in/a +%41 #?'\"😀.csv"
    sent = PublishedPipeline().build_body(
        RunValues(experiment="e", data_paths={"d": DataPath(datastore="s", path=path)}),
        correlation_id=CORRELATION_ID,
    )
    assert "in/a +%41 #?'\\\"😀.csv".encode() in sent


@pytest.mark.parametrize(
    ("values", "where"),
    [
        (RunValues(experiment="e\ud83d"), "experiment"),
        (RunValues(experiment="e", description="\udc00"), "description"),
        (RunValues(experiment="e", parameters={"a": "ok", "b": "x\ud83d"}), "parameters.b"),
        (RunValues(experiment="e", parameters={"\ud83d": 1}), "parameters.?"),
        (
            RunValues(experiment="e", data_paths={"d": DataPath(datastore="s", path="\ud83d")}),
            "data_paths.d",
        ),
        (RunValues(experiment="e", datasets={"d": "\ud83d"}), "datasets.d"),
        (RunValues(experiment="e", tags={"t": "\ud83d"}), "tags.t"),
        (RunValues(experiment="e", properties={"p": "\ud83d"}), "properties.p"),
    ],
)
def test_a_lone_surrogate_is_an_error_that_names_the_value(values: RunValues, where: str) -> None:
    with pytest.raises(RenderError) as caught:
        PublishedPipeline().build_body(values, correlation_id=CORRELATION_ID)
    assert caught.value.where == where
    assert "lone surrogate" in str(caught.value)
    str(caught.value).encode()


def test_a_body_may_have_sixty_kib_and_no_more() -> None:
    empty = len(
        PublishedPipeline().build_body(
            RunValues(experiment="e", parameters={"p": ""}), correlation_id=CORRELATION_ID
        )
    )
    fits = RunValues(experiment="e", parameters={"p": "x" * (MAX_BODY_BYTES - empty)})
    assert (
        len(PublishedPipeline().build_body(fits, correlation_id=CORRELATION_ID)) == MAX_BODY_BYTES
    )
    with pytest.raises(BodyTooLarge) as caught:
        PublishedPipeline().build_body(
            RunValues(experiment="e", parameters={"p": "é" * (MAX_BODY_BYTES // 2)}),
            correlation_id=CORRELATION_ID,
        )
    assert str(caught.value) == (
        f"the submission's body has {caught.value.size} bytes, and at most 61440 can be kept; "
        "put large values in a blob and pass its path"
    )


@pytest.mark.parametrize(
    "url",
    [
        ENDPOINT,
        f"https://westeurope.aether.ms/api/v1.0{WORKSPACE}{SUBMIT}",
        f"https://private.example.com:8443/x{SUBMIT}",
        f"http://127.0.0.1:5000{SUBMIT}",
        f"https://x.com{SUBMIT.lower()}",
    ],
)
def test_a_submit_url_is_an_endpoint(url: str) -> None:
    KIND.check_endpoint(url)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/PipelineRuns/PipelineSubmit/",
        f"{SUBMIT}/",
        "/PipelineRuns/1",
        "/PipelineRuns/PipelineEndpointSubmit/Id/1",
    ],
)
def test_another_url_is_refused_without_repeating_it(path: str) -> None:
    with pytest.raises(ValueError) as caught:
        KIND.check_endpoint(f"https://x.com{path}")
    assert "ends with /PipelineRuns/PipelineSubmit/<id>" in str(caught.value)
    assert "x.com" not in str(caught.value)


def test_the_scope_is_azure_resource_manager_of_the_cloud() -> None:
    assert KIND.default_scope("public") == "https://management.azure.com/.default"
    assert KIND.default_scope("china") == "https://management.chinacloudapi.cn/.default"
    assert KIND.default_scope("usgov") == "https://management.usgovcloudapi.net/.default"


def test_the_body_is_posted_to_the_endpoint() -> None:
    request = KIND.submit_request(ENDPOINT, b"{}")
    assert (request.method, request.url, request.body) == ("POST", ENDPOINT, b"{}")


def test_run_history_is_queried_in_the_workspace_of_the_endpoint() -> None:
    search = KIND.search_request(ENDPOINT, experiment="My E/1", correlation_ids=["x-1", "n-1"])
    assert search is not None
    assert search.method == "POST"
    assert search.url == (
        f"https://westeurope.api.azureml.ms/history/v1.0{WORKSPACE}/experiments/My%20E%2F1/runs:query"
    )
    assert json.loads(search.body or b"")["filter"] == (
        '((Tags/submission eq "x-1" or Properties/submission eq "x-1" or '
        'Tags/submission eq "n-1" or Properties/submission eq "n-1") and (ParentRunId eq null))'
    )


def test_an_endpoint_without_run_history_has_no_query() -> None:
    legacy = f"https://westeurope.aether.ms/api/v1.0/x{SUBMIT}"
    assert KIND.search_request(legacy, experiment="E", correlation_ids=["x-1"]) is None


def test_the_requests_for_runs_are_below_the_endpoints_pipeline_runs() -> None:
    runs = f"https://westeurope.api.azureml.ms/pipelines/v1.0{WORKSPACE}/PipelineRuns"
    listing = KIND.list_request(ENDPOINT)
    status = KIND.status_request(ENDPOINT, "run/1")
    cancel = KIND.cancel_request(ENDPOINT, "run/1")
    assert (listing.method, listing.url) == ("GET", f"{runs}/Pipeline/0a1b-2c")
    assert (status.method, status.url) == ("GET", f"{runs}/run%2F1")
    assert (cancel.method, cancel.url) == ("DELETE", f"{runs}/run%2F1/Execution")


@pytest.mark.parametrize(
    ("status", "shown"), [(200, True), (202, False), (404, False), (500, False)]
)
def test_a_run_is_read_from_a_200_only(status: int, shown: bool) -> None:
    run = b'{"Id": "run-1", "Status": {"StatusCode": "1"}}'
    one = ServiceAnswer(status=status, headers={}, content=run, request_id="r")
    many = ServiceAnswer(status=status, headers={}, content=b"[" + run + b"]", request_id="r")
    assert (KIND.read_run(one) is not None) is shown
    assert (KIND.read_runs(many) is not None) is shown
