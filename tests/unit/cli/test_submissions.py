"""`dev.py submissions`, over an app between doubles."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

import cli.submissions
from local.testing.app import Bench
from shared.core.events import HttpEvent
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import State, Submission
from shared.core.transitions import hold
from shared.operations.submissions import start as start_event

TRIGGERS = """
call: {pipeline: scoring, http: {}}
careful: {pipeline: scoring, http: {}, on_unknown: hold}
"""


@pytest.fixture
def bench(make_bench: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch) -> Bench:
    made = make_bench(TRIGGERS)
    monkeypatch.setattr(cli.submissions, "open_services", lambda: made.app.services)
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli.submissions.submissions, list(arguments), env={"COLUMNS": "160"})


def start(bench: Bench, kind: OutcomeKind | None = None, *, trigger: str = "call") -> Submission:
    bench.workspace.outcomes = [Outcome(kind=kind, message="why")] if kind else []
    key = ("key", str(len(bench.workspace.bodies)))
    result = start_event(
        bench.app.services, HttpEvent(trigger=trigger, time=bench.clock.now(), key=key)
    )
    assert isinstance(result, Submission)
    return result


def test_a_list_names_each_submission_and_its_outcome(bench: Bench) -> None:
    sent, dead = start(bench), start(bench, OutcomeKind.REFUSED)
    result = run("list")
    assert result.exit_code == 0
    for word in (sent.id, dead.id, "submitted", "run run-1", "dead", "why"):
        assert word in result.output


def test_a_json_list_can_be_filtered(bench: Bench) -> None:
    start(bench)
    dead = start(bench, OutcomeKind.REFUSED)
    listed = json.loads(run("list", "--state", "dead", "--trigger", "call", "--json").stdout)
    assert [one["id"] for one in listed] == [dead.id]
    assert json.loads(run("list", "--limit", "1", "--json").stdout)[0]["id"]
    assert json.loads(run("list", "--trigger", "careful", "--json").stdout) == []


def test_show_prints_the_whole_submission(bench: Bench) -> None:
    sent = start(bench)
    shown = json.loads(run("show", sent.id, "--json").stdout)
    assert (shown["id"], shown["run"]["id"]) == (sent.id, "run-1")
    assert "ExperimentName" in run("show", sent.id).output


def test_an_unknown_id_is_a_sentence_and_exit_code_1(bench: Bench) -> None:
    result = run("show", "0" * 32)
    assert result.exit_code == 1
    assert "there is no submission with that id" in result.output
    assert "Traceback" not in result.output


def test_one_is_replayed(bench: Bench) -> None:
    dead = start(bench, OutcomeKind.REFUSED)
    result = run("replay", dead.id, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)[0]["generation"] == 2


def test_one_that_may_be_running_needs_confirm(bench: Bench) -> None:
    held = start(bench, OutcomeKind.UNKNOWN, trigger="careful")
    refused = run("replay", held.id)
    assert refused.exit_code == 1
    assert "may start a second one" in refused.output
    assert run("replay", held.id, "--confirm").exit_code == 0


def test_all_of_a_trigger_are_replayed_and_those_that_cannot_are_named(bench: Bench) -> None:
    dead = [start(bench, OutcomeKind.REFUSED) for _ in range(3)]
    start(bench, OutcomeKind.UNKNOWN, trigger="careful")
    assert run("replay", "--trigger", "call").exit_code == 0
    states = {one.id: one.state for one in bench.submissions()}
    assert {states[one.id] for one in dead} == {State.SUBMITTED}
    result = run("replay", "--trigger", "careful")
    assert result.exit_code == 1
    assert "may start a second one" in result.output


def test_all_of_a_trigger_are_dropped(bench: Bench) -> None:
    for _ in range(3):
        start(bench, OutcomeKind.REFUSED)
    assert run("drop", "--trigger", "call").exit_code == 0
    assert {one.state for one in bench.submissions()} == {State.SKIPPED}


def test_a_run_is_cancelled(bench: Bench) -> None:
    sent = start(bench)
    assert run("cancel", sent.id).exit_code == 0
    assert bench.workspace.asked == [("cancel", "run-1")]


@pytest.mark.parametrize("arguments", [["replay"], ["drop", "x", "--trigger", "call"]])
def test_either_an_id_or_a_trigger_must_be_named(bench: Bench, arguments: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert "either a submission's ID or --trigger" in result.output


def test_the_polling_of_a_held_run_is_resumed(bench: Bench) -> None:
    sent = start(bench)
    assert "only held" in run("resume", sent.id).output
    submissions = bench.app.services.ledger.submissions
    submissions.update(sent, lambda one: hold(one, "why", now=bench.clock.now()))
    assert run("resume", sent.id).exit_code == 0
    assert bench.submissions()[0].state is State.SUBMITTED
