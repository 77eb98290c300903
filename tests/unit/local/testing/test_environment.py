"""The developer's own app settings do not reach the tests."""

from __future__ import annotations

import os
import re
from pathlib import Path

from local.settings_file import SAMPLE_FILE, read_values
from local.testing.environment import remove_app_settings

ROOT = Path(__file__).resolve().parents[4]


def test_every_setting_that_the_app_reads_or_the_sample_has_is_removed() -> None:
    source = "".join(file.read_text("utf-8") for file in (ROOT / "shared").rglob("*.py"))
    names = set(re.findall(r'(?:get\(|settings\[|environment\[)"([A-Z][A-Z_]{3,})"', source))
    names |= read_values(ROOT / SAMPLE_FILE).keys()
    assert {"TRIGGERS_FILE", "AZURE_CLIENT_ID", "AzureWebJobsStorage"} <= names
    environment = dict.fromkeys(names, "the developer's own") | {"PATH": "/bin"}
    remove_app_settings(environment)
    assert environment == {"PATH": "/bin"}


def test_the_tests_themselves_run_without_app_settings() -> None:
    left = dict(os.environ)
    remove_app_settings(left)
    assert left == os.environ
