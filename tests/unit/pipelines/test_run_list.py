"""A pipeline's own list of runs is read run by run, and only the runs that are asked for are kept."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.runs import RunFacts
from shared.pipelines import run_records
from shared.pipelines.run_records import keep_runs, read_runs


def entity(number: int, **more: object) -> dict[str, object]:
    return {"Id": f"run-{number}", "Properties": {"submission": f"s-{number}"}, **more}


def chunks(content: bytes, size: int = 4096) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def kept(content: bytes, *correlation_ids: str, size: int = 4096) -> list[str]:
    found = read_runs(keep_runs(chunks(content, size), correlation_ids))
    assert found is not None
    return [run.id for run in found.runs]


@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "Description": st.text(),
                "ParameterAssignments": st.dictionaries(st.text(), st.text()),
            }
        ),
        max_size=20,
    ),
    st.integers(1, 60),
    st.sampled_from([None, 0, 2]),
)
def test_the_runs_that_are_asked_for_are_kept_however_the_body_is_cut(
    more: list[dict[str, object]], size: int, indent: int | None
) -> None:
    entities = [entity(number, **one) for number, one in enumerate(more)]
    content = json.dumps(entities, ensure_ascii=False, indent=indent).encode("utf-8")
    assert kept(content, "s-3", "s-7", size=size) == [
        one["Id"] for one in entities if one["Id"] in ("run-3", "run-7")
    ]


def test_an_empty_list_and_a_byte_order_mark_are_read() -> None:
    assert kept(b"[]") == kept(b" [ ] ", size=1) == []
    assert kept(b"\xef\xbb\xbf[" + json.dumps(entity(1)).encode() + b"]", "s-1") == ["run-1"]


def test_a_run_that_cannot_be_read_is_kept_so_that_the_list_is_not_complete() -> None:
    found = read_runs(keep_runs([json.dumps([entity(1), {"Id": 7}, 3]).encode()], ["s-2"]))
    assert found is not None
    assert (found.runs, found.complete) == ((), False)


def test_facts_of_a_kept_run_are_whole() -> None:
    content = json.dumps([entity(1, Status={"StatusCode": "Running"})]).encode()
    found = read_runs(keep_runs([content], ["s-1"]))
    assert found is not None
    assert found.runs == (RunFacts(id="run-1", status="Running", correlation_id="s-1"),)


@pytest.mark.parametrize(
    "content", [b"", b"  ", b"<html>x</html>", b'{"Error": {"Code": "UserError"}}', b"null"]
)
def test_a_body_that_is_no_list_is_kept_as_it_is(content: bytes) -> None:
    assert keep_runs(chunks(content, 3), ["s-1"]) == content


def test_a_body_in_an_object_is_kept_whole() -> None:
    content = json.dumps({"value": [entity(1), entity(2)]}).encode()
    assert kept(content, "s-1") == ["run-1", "run-2"]


@pytest.mark.parametrize(
    "content",
    [b"[", b"[{", b'[{"Id": "a"}', b'[{"Id": "a"},', b'[{"Id": "a"} {"Id": "b"}]', b"[x]"],
)
def test_a_list_that_is_cut_off_or_malformed_is_an_error(content: bytes) -> None:
    with pytest.raises(ValueError, match="the list is"):
        keep_runs(chunks(content, 2), ["a"])


def test_something_after_the_list_is_an_error() -> None:
    with pytest.raises(ValueError, match="something follows the list"):
        keep_runs([b"[] ", b"{}"], [])


def test_a_run_nested_too_deeply_is_an_error() -> None:
    deep = b'[{"Id": ' + b"[" * 200_000 + b"]" * 200_000 + b"}]"
    with pytest.raises(ValueError):
        keep_runs(chunks(deep), [])


def test_a_run_above_its_bound_is_an_error() -> None:
    content = json.dumps([entity(1, Description="x" * run_records.MAX_RUN_CHARACTERS * 3)]).encode()
    with pytest.raises(ValueError, match="a run of the list has more than"):
        keep_runs(chunks(content), [])


def test_a_body_that_is_no_list_above_its_bound_is_an_error() -> None:
    content = b"<html>" + b"x" * run_records.MAX_RUN_CHARACTERS
    with pytest.raises(ValueError, match="the answer has more than"):
        keep_runs(chunks(content), [])


def test_a_list_above_its_bound_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_records, "MAX_LIST_BYTES", 50_000)
    content = json.dumps([entity(number) for number in range(5_000)]).encode()
    with pytest.raises(ValueError, match="the list has more than 50000 bytes"):
        keep_runs(chunks(content), [])


@pytest.mark.large
def test_a_list_of_60_mb_takes_little_memory() -> None:
    def long_list() -> Iterator[bytes]:
        yield b"["
        for number in range(20_000):
            text = json.dumps(entity(number, Description="x" * 3_000)).encode()
            yield b"," * (number > 0) + text
        yield b"]"

    tracemalloc.start()
    try:
        content = keep_runs(long_list(), ["s-19999"])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    found = read_runs(content)
    assert found is not None
    assert [run.id for run in found.runs] == ["run-19999"]
    assert peak < 4 * 1024 * 1024
