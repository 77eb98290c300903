"""The docs say what the code does: lengths, links, commands, settings and log records."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from cli.__main__ import COMMANDS
from shared.clients.transport import VERSION
from shared.core.telemetry import Action

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)]*)?\)")
TABLE_ACTION = re.compile(r"^\| `([a-z_]+)` \| (\w+) \|", re.MULTILINE)


def source() -> str:
    files = [
        ROOT / "function_app.py",
        *ROOT.glob("*_trigger/*.py"),
        *(ROOT / "shared").rglob("*.py"),
    ]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    for target, _ in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_readme_stays_under_200_lines() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 200


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_is_named_exists(page: Path) -> None:
    for command in re.findall(r"dev\.py ([a-z]+)", page.read_text(encoding="utf-8")):
        assert command in COMMANDS, f"{page.name} names dev.py {command}"


def test_every_log_record_is_documented_and_no_other() -> None:
    page = (ROOT / "docs/reference/log-records.md").read_text(encoding="utf-8")
    assert {action for action, _ in TABLE_ACTION.findall(page)} == set(Action)


def test_every_action_is_logged_somewhere() -> None:
    used = set(re.findall(r"\bAction\.([A-Z_]+)", source()))
    assert used == set(Action.__members__)


def test_every_setting_of_the_readme_is_read_and_every_one_that_is_read_is_there() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("## Settings")[2].partition("##")[0]
    named = set(re.findall(r"^\| `([A-Z_]+)` \|", table, re.MULTILINE))
    read = set(re.findall(r'(?:get\(|settings\[|environment\[)"([A-Z][A-Z_]{3,})"', source()))
    assert named - read <= set()
    platform = {"IDENTITY_ENDPOINT", "IDENTITY_HEADER", "MSI_ENDPOINT", "WEBSITE_AUTH_ENABLED"}
    assert read - named <= platform


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert project["project"]["version"] == VERSION


def test_the_sample_of_the_readme_is_a_file_that_loads(tmp_path: Path) -> None:
    from local.testing.app import ENDPOINT
    from shared.config.load import load_config

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    file = tmp_path / "triggers.yaml"
    file.write_text(readme.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    config = load_config(file, settings={"SCORING_ENDPOINT": ENDPOINT, "DATA_CONTAINER": "data"})
    assert list(config.triggers) == ["every-15-minutes", "new-data", "on-demand"]


def test_what_is_not_deployed_is_named_in_funcignore_and_what_is_needed_is_not() -> None:
    ignored = {
        line.rstrip("/") for line in (ROOT / ".funcignore").read_text(encoding="utf-8").splitlines()
    }
    assert {"cli", "local", "tests", "docs", "bench", "node_modules", ".venv"} <= ignored
    needed = {
        "shared",
        "timer_trigger",
        "blob_trigger",
        "http_trigger",
        "host.json",
        "triggers.yaml",
    }
    assert not ignored & needed
    assert not ignored & {"function_app.py", "requirements.txt"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_of_python_compiles(page: Path) -> None:
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
        compile(block, str(page), "exec")


def test_the_schedules_of_the_docs_are_triggers_that_load(tmp_path: Path) -> None:
    from textwrap import indent

    from local.testing.app import HEAD
    from shared.config.load import load_config

    page = (ROOT / "docs/schedules.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    file = tmp_path / "triggers.yaml"
    file.write_text(HEAD + indent("".join(blocks), "  "), encoding="utf-8")
    config = load_config(file, settings={})
    assert {"report", "nightly", "load", "biweekly", "daily", "mondays"} <= set(config.triggers)
