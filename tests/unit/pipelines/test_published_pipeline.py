"""The POST body of a published pipeline, on the wire."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import BodyTooLarge, RenderError
from shared.pipelines.published_pipeline import MAX_BODY_BYTES, PublishedPipeline
from shared.pipelines.values import DataPath, DatasetReference, RunValues, Scalar

CORRELATION_ID = "0123456789abcdef0123456789abcdef-1"


def body(values: RunValues) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(
        PublishedPipeline().build_body(values, correlation_id=CORRELATION_ID)
    )
    return record


def test_the_documented_body_of_logic_apps_comes_out_equal_but_for_our_stamp() -> None:
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


def test_what_is_not_set_is_not_sent() -> None:
    assert body(RunValues(experiment="e")) == {
        "ExperimentName": "e",
        "RunSource": "SDK",
        "tags": {"submission": CORRELATION_ID},
        "Properties": {"submission": CORRELATION_ID},
    }


def test_everything_that_is_set_has_the_sdks_own_key() -> None:
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


def test_our_stamp_wins_over_a_tag_of_the_same_name() -> None:
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
                "place": DataPath(datastore="store", path="a/b"),
            },
        )
    )
    assert sent["DataSetDefinitionValueAssignments"] == {
        "saved": {"SavedDataSetReference": {"Id": "id-1"}},
        "registered": {"DataSetReference": {"Name": "sales", "Version": "7"}},
        "by_id": {"DataSetReference": {"Id": "id-2"}},
        "place": {"LiteralValue": {"DataStoreName": "store", "RelativePath": "a/b"}},
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
def test_half_a_character_is_a_clear_error(values: RunValues, where: str) -> None:
    with pytest.raises(RenderError) as caught:
        PublishedPipeline().build_body(values, correlation_id=CORRELATION_ID)
    assert caught.value.where == where
    assert "lone surrogate" in str(caught.value)
    str(caught.value).encode()


def test_a_body_over_sixty_kib_is_a_clear_error_and_one_of_that_size_is_none() -> None:
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
