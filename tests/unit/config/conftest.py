"""Loads the files that tests write."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.load import load_config
from shared.config.model import Config
from shared.core.errors import FileError, Problem
from tests.unit.config.files import SETTINGS, Load, ProblemsOf


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Give a function that loads a text with app settings."""

    def load(text: str, **settings: str) -> Config:
        file = tmp_path / "triggers.yaml"
        file.write_text(text, encoding="utf-8")
        return load_config(file, settings={**SETTINGS, **settings})

    return load


@pytest.fixture
def problems_of(load: Load) -> ProblemsOf:
    """Give a function that returns the problems of a text."""

    def problems_of(text: str, **settings: str) -> list[Problem]:
        with pytest.raises(FileError) as caught:
            load(text, **settings)
        return list(caught.value.problems)

    return problems_of
