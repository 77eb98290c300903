"""`dev.py backfill`: shown first, done with --yes."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from cli import backfill as backfill_module
from cli.backfill import backfill
from local.testing.app import Bench
from shared.core.outcomes import Outcome, OutcomeKind

type MakeBench = Callable[..., Bench]


HOURLY = """
t:
  pipeline: scoring
  schedule: {cron: "0 * * * *", catch_up: none}
  tags: {from: "{{ schedule.window_start }}"}
other: {pipeline: scoring, http: {}}
counted: {pipeline: scoring, schedule: {frequency: hour, interval: 5}}
"""


@pytest.fixture
def found(make_bench: MakeBench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = make_bench(HOURLY)
    monkeypatch.setattr(backfill_module, "open_services", lambda: made.app.services)
    return made


def run(*words: str) -> Result:
    range_ = ["--from", "2027-03-27T10:00:00Z", "--to", "2027-03-27T12:00:00Z"]
    return CliRunner().invoke(backfill, ["t", *range_, *words])


def test_without_yes_it_is_only_shown(found: Bench) -> None:
    result = run()
    assert result.exit_code == 0, result.output
    assert "3 occurrences: 3 to start, 0 to take over, 0" in result.output
    assert "nothing was started; repeat the command with --yes" in result.output
    assert found.submissions() == []


def test_with_yes_it_is_done_and_each_result_is_shown(found: Bench) -> None:
    result = run("--yes")
    assert result.exit_code == 0, result.output
    assert "2027-03-27T10:00:00Z is submitted: run-" in result.output
    assert "3 occurrences were worked on: 3 submitted" in result.output
    assert len(found.workspace.bodies) == 3
    assert "there is nothing to start" in run().output
    assert "nothing was to be started" in run("--yes").output


def test_machines_get_json(found: Bench) -> None:
    content = json.loads(run("--json").stdout)
    assert content["done"] is False
    assert [one["step"] for one in content["occurrences"]] == ["start"] * 3
    content = json.loads(run("--yes", "--json").stdout)
    assert content["done"] is True
    first = content["occurrences"][0]
    assert (first["time"], first["state"]) == ("2027-03-27T10:00:00Z", "submitted")
    assert first["run"].startswith("run-")
    assert len(first["id"]) == 32


def test_a_refused_post_ends_with_exit_code_1(found: Bench) -> None:
    found.workspace.outcomes = [Outcome(kind=OutcomeKind.REFUSED, message="no", request_id="r")]
    result = run("--yes")
    assert result.exit_code == 1
    assert "1 dead, 2 submitted" in result.output


def test_a_wrong_range_is_one_sentence(found: Bench) -> None:
    result = CliRunner().invoke(
        backfill, ["t", "--from", "2027-03-27T12:00:00Z", "--to", "2027-03-27T10:00:00Z"]
    )
    assert result.exit_code == 1
    assert result.output == "Error: the range's end is before its start\n"
