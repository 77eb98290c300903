"""Azurite that cannot be started."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.standins.azurite import AzuriteMissing, find_program


def test_a_missing_azurite_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AzuriteMissing, match="run `npm ci`"):
        find_program(root=tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AzuriteMissing, match=r"install Node\.js 20"):
        find_program()
