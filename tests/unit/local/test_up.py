"""`dev.py up`: which endpoints need a stand-in, and which folders are watched."""

from __future__ import annotations

from pathlib import Path

from local.up import Endpoints, find_directories, read_endpoints


def test_endpoints_without_a_setting_are_found(tmp_path: Path) -> None:
    file = tmp_path / "triggers.yaml"
    assert read_endpoints(file, settings={}) == Endpoints()
    file.write_text("pipelines: [")
    assert read_endpoints(file, settings={}) == Endpoints()
    file.write_text(
        "pipelines:\n  a: {endpoint: '${A}'}\n  b: {endpoint: '${B}'}\n  c: {endpoint: 'https://x.example/${C}'}\n"
    )
    assert read_endpoints(file, settings={}) == Endpoints(unset=("A", "B", "C"))
    local = {"A": "http://127.0.0.1:1/x", "B": "http://localhost:2"}
    assert read_endpoints(file, settings=local) == Endpoints(unset=("C",))
    assert read_endpoints(file, settings={**local, "C": "1"}) == Endpoints(real=True)


def test_installed_packages_and_tests_are_not_watched(tmp_path: Path) -> None:
    for name in ("shared/ledger", "node_modules/x", ".venv/lib", "tests/unit", "http_trigger"):
        (tmp_path / name).mkdir(parents=True)
    found = {str(path.relative_to(tmp_path)) for path in find_directories(tmp_path)}
    assert found == {".", "shared", "shared/ledger", "http_trigger"}
