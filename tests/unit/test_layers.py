"""Imports only go down the packages, without cycles, and the app never imports what is not deployed."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ORDER = [
    {"core"},
    {"schedules", "pipelines", "ledger"},
    {"config"},
    {"clients"},
    {"engine"},
    {"operations"},
    {"web"},
    {"app"},
]
"""Packages may import those of the lines above, and themselves."""
RANK = {package: rank for rank, packages in enumerate(ORDER) for package in packages}
MODULES = sorted((ROOT / "shared").rglob("*.py"))
ENTRY_POINTS = [ROOT / "function_app.py", *sorted(ROOT.glob("*_trigger/*.py"))]
NOT_DEPLOYED = {"cli", "local", "tests", "bench", "dev", "click", "rich"}


def dotted(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(file: Path) -> Iterator[str]:
    """Yield what a file imports, lazily too."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def package(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "shared" and len(parts) > 1 else None


@pytest.mark.parametrize("file", MODULES, ids=dotted)
def test_a_module_imports_only_from_its_own_package_and_those_below(file: Path) -> None:
    own = package(dotted(file))
    if own is None:
        return
    for name in imports(file):
        other = package(name)
        if other is not None and other != own:
            assert RANK[other] < RANK[own], f"{dotted(file)} imports {name}"


def test_there_is_no_cycle_lazy_imports_included() -> None:
    names = {dotted(file) for file in MODULES}
    graph = {dotted(file): names & set(imports(file)) - {dotted(file)} for file in MODULES}
    # A package's own __init__ holds a docstring only, so importing from it is no dependency.
    packages = {dotted(file) for file in MODULES if file.name == "__init__.py"}
    TopologicalSorter({name: found - packages for name, found in graph.items()}).prepare()


@pytest.mark.parametrize("file", MODULES, ids=dotted)
def test_a_module_stays_small_and_a_package_s_own_holds_a_docstring_only(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= 450
    if file.name == "__init__.py":
        assert len(ast.parse(text).body) == 1


def test_the_app_imports_nothing_that_is_not_deployed() -> None:
    names = {name.partition(".")[0] for file in (*ENTRY_POINTS, *MODULES) for name in imports(file)}
    assert not names & NOT_DEPLOYED


@pytest.mark.parametrize("file", ENTRY_POINTS, ids=dotted)
def test_an_entry_point_sees_only_app_and_web(file: Path) -> None:
    assert {package(name) for name in imports(file)} <= {None, "app", "web"}


@pytest.mark.parametrize("file", ENTRY_POINTS, ids=dotted)
def test_an_entry_point_only_decodes_calls_and_encodes(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= 60
