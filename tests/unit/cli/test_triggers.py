"""`dev.py triggers`, `preview` and `openapi`, over an app between doubles."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable

import click
import pytest
from click.testing import CliRunner, Result

import cli.preview
import cli.triggers
from cli.openapi import EXAMPLES, http_file_text, http_reference_text, openapi
from local.testing.app import Bench
from shared.web.api.openapi import document
from shared.web.registry import ROUTES

TRIGGERS = """
call: {pipeline: scoring, http: {}}
nightly: {pipeline: scoring, schedule: {frequency: day}}
new-data: {pipeline: scoring, blob: {datastore: lake, path: incoming, include: ["*.csv"]}}
"""


@pytest.fixture
def bench(make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = make_bench(TRIGGERS)
    for module in (cli.triggers, cli.preview):
        monkeypatch.setattr(module, "open_services", lambda: made.app.services)
    return made


def run(command: click.Command, *arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments), env={"COLUMNS": "200"})


def test_a_list_shows_sources_and_next_occurrences(bench: Bench) -> None:
    result = run(cli.triggers.triggers, "list")
    assert result.exit_code == 0
    for word in ("call", "nightly", "schedule every 1 day", "enabled by the file", "2027-03-28"):
        assert word in result.output
    listed = json.loads(run(cli.triggers.triggers, "list", "--json").stdout)
    assert [one["name"] for one in listed] == ["call", "nightly", "new-data"]


def test_a_trigger_is_shown_disabled_enabled_and_reset(bench: Bench) -> None:
    assert "next: 2027-03-28T12:00:00Z" in run(cli.triggers.triggers, "show", "nightly").output
    off = run(cli.triggers.triggers, "disable", "nightly")
    assert "disabled by a person since 2027-03-27T12:00:00Z" in off.output
    assert json.loads(run(cli.triggers.triggers, "enable", "nightly", "--json").stdout)["override"]
    assert "enabled by the file" in run(cli.triggers.triggers, "reset", "nightly").output


def test_an_unknown_trigger_is_a_sentence_and_exit_code_1(bench: Bench) -> None:
    for arguments in (["show", "nobody"], ["disable", "nobody"]):
        result = run(cli.triggers.triggers, *arguments)
        assert (result.exit_code, "Traceback" in result.output) == (1, False)
        assert "there is no trigger of that name" in result.output


def test_a_preview_shows_the_runs_or_the_failed_condition(bench: Bench) -> None:
    bench.blobs.put("incoming/a.csv", bench.clock)
    shown = run(cli.preview.preview, "--blob", "incoming/a.csv")
    assert (shown.exit_code, "1 runs" in shown.output) == (0, True)
    assert "include = a.txt" in run(cli.preview.preview, "--blob", "incoming/a.txt").output
    found = run(cli.preview.preview, "--request", "{}", "--trigger", "call", "--json")
    assert [one["starts"] for one in json.loads(found.stdout)] == [True]
    time = run(cli.preview.preview, "--time", "2027-03-28T12:00:00Z", "--trigger", "nightly")
    assert "yes" in time.output
    assert (bench.workspace.bodies, bench.table.calls["transact"]) == ([], 0)


@pytest.mark.parametrize(
    "arguments", [[], ["--time", "noon"], ["--request", "{"], ["--blob", "a", "--time", "b"]]
)
def test_a_wrong_preview_is_a_sentence_and_exit_code_1(bench: Bench, arguments: list[str]) -> None:
    result = run(cli.preview.preview, *arguments)
    assert (result.exit_code, "Traceback" in result.output) == (1, False)


def test_openapi_prints_the_document() -> None:
    assert json.loads(run(openapi).stdout) == document()


def test_every_route_has_an_example_that_fits_it() -> None:
    assert list(EXAMPLES) == [entry.function for entry in ROUTES]
    for entry in ROUTES:
        pattern = re.sub(r"\\\{[a-z_]+\\\}", "[^/]+", re.escape(f"/api/{entry.path}"))
        path, body = EXAMPLES[entry.function]
        assert re.fullmatch(pattern, path.partition("?")[0])
        assert (body is not None) is bool(entry.bodies)


def test_the_pages_have_a_request_to_each_route() -> None:
    blocks = re.findall(r"```sh\n(.*?)\n```", http_reference_text(), re.DOTALL)
    assert len(blocks) == len(ROUTES)
    assert all(shlex.split(block)[0] == "curl" for block in blocks)
    assert http_file_text().count("### ") == len(ROUTES)
