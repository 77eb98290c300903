"""An app between doubles, from the triggers that a test writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent, indent

import pytest

from local.testing.app import HEAD, Bench, bench
from local.testing.memory_table import Fault


@pytest.fixture
def make_bench(tmp_path: Path) -> Callable[..., Bench]:
    """Return a function that makes an app from the text of some triggers."""

    def make(
        triggers: str,
        *,
        fault: Callable[[str], Fault | None] | None = None,
        roles: bool = False,
    ) -> Bench:
        return bench(write_file(tmp_path, triggers), fault=fault, roles=roles)

    return make


@pytest.fixture
def write_triggers(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes a triggers file from the text of some triggers."""
    return lambda triggers: write_file(tmp_path, triggers)


def write_file(folder: Path, triggers: str) -> Path:
    file = folder / "triggers.yaml"
    file.write_text(HEAD + indent(dedent(triggers), "  "), encoding="utf-8")
    return file
