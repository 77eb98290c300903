"""The docs say what the code does: lengths, links, paths, commands, settings, rows and log records."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from cli.__main__ import COMMANDS
from shared.clients.transport import VERSION
from shared.core.submissions import State
from shared.core.telemetry import Action

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)#\s]*)(?:#([^)]*))?\)")
CODE = re.compile(r"`([^`\n]+)`")
FENCE = re.compile(r"^ *```.*?^ *```", re.DOTALL | re.MULTILINE)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")
SOURCE_FILE = (".py", ".md", ".toml", ".yaml", ".json", ".txt")
MADE_LATER = {"local.settings.json", ".local/logs/host.log"}
"""Files that a reader or a command makes, and that the repository does not hold."""
TABLE_ACTION = re.compile(r"^\| `([a-z_]+)` \| (\w+) \|", re.MULTILINE)


def source() -> str:
    files = [
        ROOT / "function_app.py",
        *ROOT.glob("*_trigger/*.py"),
        *(ROOT / "shared").rglob("*.py"),
    ]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = HEADING.findall(FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}


def named_paths(text: str) -> set[str]:
    """Return the paths of this repository that a page names in backticks: `shared/core/`, `triggers.yaml`.

    Others, such as a blob's path or a media type, begin with none of the repository's folders.
    """
    folders = {entry.name for entry in ROOT.iterdir() if entry.is_dir()} | {".local"}
    found = {one for one in CODE.findall(FENCE.sub("", text)) if PATH.fullmatch(one)}
    return {
        one
        for one in found
        if (one.partition("/")[0] in folders if "/" in one else one.endswith(SOURCE_FILE))
        or ("/" in one and one.endswith((".py", ".md")))
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_to_a_heading_of_it(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        file = page.parent / target if target else page
        assert file.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(file), f"{page.name} links to {target}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_path_that_is_named_exists(page: Path) -> None:
    for path in named_paths(page.read_text(encoding="utf-8")) - MADE_LATER:
        assert (ROOT / path).exists(), f"{page.name} names {path}"


def test_a_path_is_told_from_other_words_in_backticks() -> None:
    text = "`shared/core/`, `docs/gone.md`, `gone/x.py`, `triggers.yaml`; `incoming/a.csv`, `a/b`, `POST v1/x`, `x.y`"
    assert named_paths(text) == {"shared/core/", "docs/gone.md", "gone/x.py", "triggers.yaml"}


def test_the_readme_names_every_package_and_the_glossary_is_at_hand() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("## Where everything is")[2]
    packages = {entry.parent.name for entry in (ROOT / "shared").glob("*/__init__.py")}
    assert set(re.findall(r"`shared/([a-z]+)/`", table)) == packages
    assert "(docs/glossary.md)" in readme
    assert "(docs/glossary.md)" in (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def test_the_session_of_the_readme_is_what_the_demo_prints() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    session = readme.partition("```console\n")[2].partition("```")[0]
    _, title, *lines, last = session.splitlines()
    program = (ROOT / "cli/demo.py").read_text(encoding="utf-8")
    assert f'title="{title}"' in program
    runs = sum("  run " in line for line in lines)
    assert last == f"✓ {len(lines)} events started {runs} runs, as expected."
    assert "runs, as expected." in program


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


def test_the_glossary_defines_every_state_and_each_word_once() -> None:
    page = (ROOT / "docs/glossary.md").read_text(encoding="utf-8")
    words = re.findall(r"^\| (?:\*\*|`)([^*`]+)(?:\*\*|`) \|", page, re.MULTILINE)
    assert len(words) == len(set(words))
    assert {state.value for state in State} <= set(words)


def test_how_it_works_names_the_rows_and_properties_that_the_ledger_has() -> None:
    page = (ROOT / "docs/how-it-works.md").read_text(encoding="utf-8")
    ledger = page.partition("## The ledger")[2].partition("## States")[0]
    code = "".join(
        file.read_text(encoding="utf-8") for file in (ROOT / "shared/ledger").glob("*.py")
    )
    keys = set(re.findall(r"^\| `([a-z]+):", ledger, re.MULTILINE))
    assert keys == set(re.findall(r'"([a-z]+):\{', code))
    named = re.findall(r"^\| ((?:`[a-z_]+`(?:, )?)+) \| `", ledger, re.MULTILINE)
    properties = {name for names in named for name in re.findall(r"`([a-z_]+)`", names)}
    assert len(properties) > 15
    for name in properties:
        assert f'"{name}": ' in code, f"no row has {name}"


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
