"""Which blobs match a trigger."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config.path_rule import PathRule


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        (PathRule("incoming"), "incoming/x.csv"),
        (PathRule(""), "x.csv"),
        (PathRule("", recursive=True), "a/b/x.csv"),
        (PathRule("incoming", recursive=True), "incoming/a/b/x.csv"),
        (PathRule("a/b"), "a/b/x"),
        (PathRule("incoming", include=("*.csv",)), "incoming/.csv"),
        (PathRule("incoming", include=("*.json", "*.csv")), "incoming/x.csv"),
        (PathRule("incoming", include=("**/*.csv",)), "incoming/x.csv"),
        (PathRule("incoming", recursive=True, include=("**/*.csv",)), "incoming/a/b/x.csv"),
        (PathRule("incoming", recursive=True, include=("a/*.csv",)), "incoming/a/x.csv"),
        (PathRule("incoming", recursive=True, include=("**",)), "incoming/a/x"),
        (PathRule("incoming", include=("?.csv",)), "incoming/é.csv"),
        (PathRule("incoming", include=("[ab].csv",)), "incoming/b.csv"),
        (PathRule("incoming", include=("*.csv",)), "incoming/a +%41 #?'\"\n😀.csv"),
        (PathRule("incoming", exclude=("*.tmp",)), "incoming/x.csv"),
        (PathRule("incoming", include=("*.csv",)), "incoming/.hidden.csv"),
    ],
)
def test_a_blob_matches(rule: PathRule, path: str) -> None:
    assert rule.mismatch(path) is None


@pytest.mark.parametrize(
    ("rule", "path", "reason"),
    [
        (PathRule("incoming"), "other/x.csv", "other/x.csv does not lie in incoming"),
        (PathRule("incoming"), "Incoming/x.csv", "Incoming/x.csv does not lie in incoming"),
        (PathRule("incoming"), "incoming2/x.csv", "incoming2/x.csv does not lie in incoming"),
        (PathRule("incoming"), "incoming", "incoming is a folder, not a blob"),
        (PathRule("incoming"), "incoming/", "incoming/ is a folder, not a blob"),
        (
            PathRule("incoming", recursive=True),
            "incoming/a/",
            "incoming/a/ is a folder, not a blob",
        ),
        (PathRule(""), "", "the container is a folder, not a blob"),
        (
            PathRule("incoming"),
            "incoming/sub/x.csv",
            "incoming/sub/x.csv lies in a sub-folder of incoming and recursive is false",
        ),
        (
            PathRule(""),
            "sub/x.csv",
            "sub/x.csv lies in a sub-folder of the container and recursive is false",
        ),
        (
            PathRule("incoming"),
            "incoming//x.csv",
            "incoming//x.csv lies in a sub-folder of incoming and recursive is false",
        ),
        (
            PathRule("incoming", include=("*.csv", "*.json")),
            "incoming/x.CSV",
            "x.CSV matches nothing in include (*.csv, *.json)",
        ),
        (
            PathRule("incoming", recursive=True, include=("*.csv",)),
            "incoming/a/x.csv",
            "a/x.csv matches nothing in include (*.csv)",
        ),
        (
            PathRule("incoming", include=("*.csv",), exclude=("a*", "x*")),
            "incoming/x.csv",
            "x.csv matches x* in exclude",
        ),
    ],
)
def test_the_first_condition_that_fails_is_the_reason(
    rule: PathRule, path: str, reason: str
) -> None:
    found = rule.mismatch(path)
    assert found is not None
    assert found.reason == reason


@pytest.mark.parametrize(
    ("folder", "path"), [("incoming", "data/incoming/{name}"), ("", "data/{name}")]
)
def test_the_binding_is_as_narrow_as_the_folder(folder: str, path: str) -> None:
    assert PathRule(folder).binding_path("data") == path


names = st.text(min_size=1, max_size=20).filter(lambda text: "/" not in text)


@given(st.lists(names, max_size=3), st.lists(names, min_size=1, max_size=4))
def test_everything_below_a_recursive_folder_matches(folder: list[str], below: list[str]) -> None:
    path = "/".join([*folder, *below])
    rule = PathRule("/".join(folder), recursive=True, include=("**/*",))
    assert rule.mismatch(path) is None
    direct = PathRule("/".join(folder)).mismatch(path)
    assert (direct is None) == (len(below) == 1)
