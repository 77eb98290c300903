"""`local.settings.json`: its values are read, and errors are reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local.settings_file import SETTINGS_FILE, SettingsFileBroken, read_values


def test_local_settings_are_read_and_errors_reported(tmp_path: Path) -> None:
    assert read_values(tmp_path / SETTINGS_FILE) == {}
    file = tmp_path / "local.settings.json"
    file.write_text(json.dumps({"IsEncrypted": False, "Values": {"A": "1"}}))
    assert read_values(tmp_path / SETTINGS_FILE) == {"A": "1"}
    for text, word in (
        ("{", "not JSON"),
        ("[]", "Values"),
        ('{"Values": {"A": 1}}', "quotes"),
        ('{"IsEncrypted": true, "Values": {}}', "encrypted"),
    ):
        file.write_text(text)
        with pytest.raises(SettingsFileBroken, match=word):
            read_values(tmp_path / SETTINGS_FILE)
