"""The settings files of a laptop: `local.settings.json` in the format of the Functions tools, and its siblings."""

from __future__ import annotations

import json
from pathlib import Path

SETTINGS_FILE = "local.settings.json"
SAMPLE_FILE = "local.settings.sample.json"
RUNNING_SETTINGS = Path(".local/settings.json")
"""The settings of the app that `dev.py up` runs, for commands that use its ledger. `up` removes it at the end."""


class SettingsFileBroken(Exception):
    """A settings file cannot be read. The message says why."""


def read_values(file: Path) -> dict[str, str]:
    """Return the `Values` of a settings file, or nothing if there is no such file.

    Raises:
        SettingsFileBroken: The file is not JSON or is encrypted, or a value is not text.
    """
    if not file.is_file():
        return {}
    try:
        document = json.loads(file.read_text("utf-8-sig"))
    except ValueError as error:
        raise SettingsFileBroken(f"{file.name} is not JSON: {error}") from error
    values = document.get("Values", {}) if isinstance(document, dict) else None
    if not isinstance(values, dict):
        raise SettingsFileBroken(f'{file.name}: there must be an object "Values"')
    if document.get("IsEncrypted"):
        raise SettingsFileBroken(f"{file.name} is encrypted: run `func settings decrypt`")
    if wrong := sorted(name for name, value in values.items() if not isinstance(value, str)):
        raise SettingsFileBroken(
            f"{file.name}: not text: {', '.join(wrong)}; put the values in quotes"
        )
    return values
