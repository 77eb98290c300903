"""The tree of errors, and how the errors of a file read."""

from __future__ import annotations

import inspect
import re

import pytest

from shared.core import errors
from shared.core.errors import FileError, Problem, RequestError, TriggersError


def drawn() -> dict[str, str]:
    """Return each class of the tree in the module's docstring, with its parent."""
    parents: dict[int, str] = {}
    tree: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        found = re.match(r"    ([│├└─ ]*)([A-Z]\w+)(?:  |$)", line)
        if found is None:
            continue
        depth = len(found[1]) // 4
        tree[found[2]] = parents.get(depth - 1, "Exception")
        parents[depth] = found[2]
    return tree


def test_the_drawn_tree_is_the_tree_of_classes() -> None:
    classes = {
        name: one.__bases__[0].__name__
        for name, one in inspect.getmembers(errors, inspect.isclass)
        if issubclass(one, TriggersError)
    }
    assert drawn() == classes


def test_each_error_of_a_request_has_a_status_and_a_title() -> None:
    classes: list[type[RequestError]] = [RequestError, *RequestError.__subclasses__()]
    for one in classes:
        assert 400 <= one.status < 500
        assert one.title


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (Problem(where="triggers.t.http", message="is wrong"), "f.yaml: triggers.t.http: is wrong"),
        (Problem(where="a", message="is wrong", line=3), "f.yaml:3:1: a: is wrong"),
        (Problem(where="a", message="is wrong", line=3, column=7), "f.yaml:3:7: a: is wrong"),
    ],
)
def test_a_problem_of_the_file_is_shown_with_its_place(problem: Problem, line: str) -> None:
    first, second = str(FileError("f.yaml", [problem])).splitlines()
    assert "1 " in first
    assert "no function starts" in first
    assert second.strip() == line
