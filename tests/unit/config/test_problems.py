"""Problems of a file: their positions, their order, and the values in their messages."""

from __future__ import annotations

import pytest

from shared.config.problems import Problems
from shared.config.yaml_reader import read_document
from tests.unit.config.files import ProblemsOf, only, with_trigger

TEXT = """\
pipelines:
  scoring: {kind: published_pipeline, experiment: ""}
triggers:
  t: {pipeline: scorin, tags: [a, b]}
"""


def problems(text: str = TEXT) -> Problems:
    return Problems(read_document(text.encode()))


def test_a_path_has_one_problem_the_first() -> None:
    found = problems()
    found.add(("triggers", "t"), "first")
    found.add(("triggers", "t"), "second")
    assert [one.message for one in found.in_order()] == ["first"]
    assert found.has(("triggers", "t"))
    assert not found.has(("triggers",))


def test_problems_are_in_the_order_of_the_file_after_those_of_settings() -> None:
    found = problems("a: 1\nb: 2\na: 3\n")
    assert found
    found.add(("b",), "of a value")
    found.add_setting("BLOB_SOURCE", "of a setting")
    assert [(one.where, one.line, one.column) for one in found.in_order()] == [
        ("app setting BLOB_SOURCE", None, None),
        ("b", 2, 4),
        ("a", 3, 1),
    ]


def test_the_position_is_that_of_the_value_or_of_the_key() -> None:
    found = problems()
    found.add(("pipelines", "scoring", "kind"), "value")
    found.add(("triggers", "t", "tags"), "key", at_key=True)
    found.add(("triggers", "t", "missing"), "nearest key above")
    positions = {one.where: (one.line, one.column) for one in found.in_order()}
    assert positions == {
        "pipelines.scoring.kind": (2, 19),
        "triggers.t.missing": (4, 3),
        "triggers.t.tags": (4, 25),
    }


def test_an_unknown_name_is_reported_with_those_that_the_file_declares() -> None:
    found = problems()
    path = ("triggers", "t", "pipeline")
    found.add_unknown(path, "scorin", declared=["scoring", "other"], kind="pipeline")
    assert found.in_order()[0].message == (
        "found scorin; there is no such pipeline (did you mean scoring?); "
        "declared under pipelines: scoring, other"
    )
    without = problems()
    without.add_unknown(path, "scorin", declared=[], kind="pipeline")
    assert without.in_order()[0].message.endswith("; declared under pipelines: none")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("[1]", "a list"),
        ("{b: 1}", "a map"),
        ("''", '""'),
        ("", "nothing"),
        ("${NAME}", "${NAME}"),
        ("0x1F", "0x1F"),
        ('"a\\nb"', "a b"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
    ],
)
def test_a_value_is_shown_as_the_file_has_it(value: str, shown: str) -> None:
    found = problems(f"a: {value}\n")
    assert found.shown(("a",)) == shown
    assert found.shown(("other",)) == "nothing"


@pytest.mark.parametrize(
    "secret",
    [
        "DefaultEndpointsProtocol=https;AccountKey=hush",
        "SharedAccessSignature=hush",
        "https://x/?sig=hush",
        "https://x/api?a=1&code=hush",
        "https://user:hush@x/",
    ],
)
def test_a_value_that_looks_like_a_secret_is_not_shown(secret: str) -> None:
    assert "hush" not in problems(f"a: '{secret}'\n").shown(("a",))


def test_a_secret_of_the_file_reaches_no_message(problems_of: ProblemsOf) -> None:
    text = with_trigger("http: {}").replace(
        "connection: OtherStorage", "connection: DefaultEndpointsProtocol=https;AccountKey=hush"
    )
    assert only(problems_of(text)).startswith(
        "datastores.other.connection: found a value that is not shown, because it looks "
        "like a secret; a connection is the name of an app setting"
    )
