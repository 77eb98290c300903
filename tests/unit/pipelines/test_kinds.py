"""A pipeline kind has no I/O, fulfils the protocol, and keeps its URLs and bodies to itself."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.pipelines.kinds import KINDS, PipelineKind
from shared.pipelines.workspaces import CLOUDS

ROOT = Path(__file__).resolve().parents[3]
MODULES = sorted((ROOT / "shared").rglob("*.py"))
OWN = sorted((ROOT / "shared/pipelines").glob("*.py"))
KIND_PARAMETERS = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)

PURE = {
    *("__future__", "codecs", "collections.abc", "dataclasses", "datetime", "email.utils"),
    *("hashlib", "http", "ipaddress", "json", "re", "typing", "urllib.parse"),
}
"""The modules of the standard library that a kind may import."""

WIRE = re.compile(
    "ExperimentName|RunSource|RunType|ParameterAssignments|DataPathAssignments|ValueAssignments|"
    "ContinueRunOnStepFailure|PipelineRuns|PipelineSubmit|runs:query|pipelines/v1|history/v1|/Execution"
)
"""Keys of a v1 body, and parts of a v1 URL."""


def dotted(file: Path) -> str:
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


def imports(file: Path) -> Iterator[str]:
    """Yield the modules that a file imports, lazily too."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def texts(file: Path) -> Iterator[str]:
    """Yield the texts and names of a file, except what `Field` tells people about a key of the triggers file."""
    waiting: list[ast.AST] = [ast.parse(file.read_text(encoding="utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.keyword) and node.arg in {"description", "examples"}:
            continue
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id
        waiting += ast.iter_child_nodes(node)


@pytest.mark.parametrize("file", OWN, ids=dotted)
def test_a_kind_imports_nothing_that_does_io(file: Path) -> None:
    for name in imports(file):
        assert name in PURE or name.startswith(("shared.core.", "shared.pipelines.")), name


@pytest.mark.parametrize("file", [file for file in MODULES if file not in OWN], ids=dotted)
def test_no_module_outside_pipelines_knows_a_body_or_a_url(file: Path) -> None:
    assert [text for text in texts(file) if WIRE.search(text)] == []


def test_the_words_that_are_looked_for_are_those_of_the_kind() -> None:
    found = {word for file in OWN for text in texts(file) for word in WIRE.findall(text)}
    missing = set(WIRE.pattern.split("|")) - found
    assert not missing


@KIND_PARAMETERS
def test_a_kind_fulfils_the_protocol(kind: PipelineKind) -> None:
    for name, member in vars(PipelineKind).items():
        if name.startswith("_") or not inspect.isfunction(member):
            continue
        assert inspect.signature(getattr(type(kind), name)) == inspect.signature(member), name


@KIND_PARAMETERS
def test_a_kind_is_known_by_its_name(kind: PipelineKind) -> None:
    assert KINDS[kind.name] is kind
    assert re.fullmatch(r"[a-z][a-z_]*", kind.name)


@KIND_PARAMETERS
def test_a_kind_keeps_no_state(kind: PipelineKind) -> None:
    assert vars(kind) == {}


@KIND_PARAMETERS
def test_a_kind_has_a_scope_in_each_cloud(kind: PipelineKind) -> None:
    for cloud in CLOUDS:
        assert kind.default_scope(cloud).endswith("/.default")


@KIND_PARAMETERS
@pytest.mark.parametrize("url", ["", "x", "ftp://x/", "https://ml.azure.com/pipelines/secret"])
def test_a_kind_refuses_a_url_that_is_no_endpoint_without_repeating_it(
    kind: PipelineKind, url: str
) -> None:
    with pytest.raises(ValueError) as caught:
        kind.check_endpoint(url)
    assert "secret" not in str(caught.value)
