"""Suggestions: the known name closest to an unknown one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shared.core.suggestions import did_you_mean

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("dya", ["day", "month"], " (did you mean day?)"),
        ("parametres", ("data_paths", "parameters"), " (did you mean parameters?)"),
        ("x", ["day"], ""),
        ("day", [], ""),
        ("", ["day"], ""),
        ("x" * 100_000, ["day"], ""),
    ],
)
def test_only_a_close_name_is_suggested(name: str, known: list[str], expected: str) -> None:
    assert did_you_mean(name, iter(known)) == expected


def test_importing_the_module_does_not_import_difflib() -> None:
    program = "import sys, shared.core.suggestions; print('difflib' in sys.modules)"
    command = [sys.executable, "-c", program]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
