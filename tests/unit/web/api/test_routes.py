"""The handlers of the JSON API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from local.testing.memory_table import Fault
from shared.clients.transport import VERSION
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.transitions import hold
from shared.ledger.table.protocol import Merge
from shared.operations.listing import write_cursor
from shared.web.api import routes
from shared.web.exchange import Request
from tests.unit.web.calls import (
    HTTP_TRIGGERS,
    REFUSED,
    SOURCES,
    MakeBench,
    errors,
    get,
    listed,
    post,
    send,
)


def test_a_call_answers_202_with_the_submission_and_its_location(make_bench: MakeBench) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    reply = post(bench)
    assert reply.status == 202
    assert reply.content["state"] == "submitted"
    assert reply.content["run"]["id"] == "run-1"
    identifier = reply.content["id"]
    base = f"https://app.azurewebsites.net/api/status/{identifier}/"
    assert reply.headers["Location"].startswith(base)
    assert len(reply.headers["Location"]) == len(base) + 32
    assert reply.headers["Retry-After"] == "60"
    shown = get(routes.get_submission, bench, id=identifier)
    assert (shown.status, shown.content) == (200, reply.content)


def test_an_unknown_trigger_is_404(make_bench: MakeBench) -> None:
    reply = post(make_bench(HTTP_TRIGGERS), name="absent")
    assert (reply.status, errors(reply)) == (404, {})


def test_a_trigger_of_another_source_is_409(make_bench: MakeBench) -> None:
    reply = post(make_bench(HTTP_TRIGGERS), name="nightly")
    assert reply.status == 409
    assert "starts from a schedule" in reply.content["detail"]


@pytest.mark.parametrize("identifier", ["0" * 32, "../tick", "", "a/b", "x" * 5000])
def test_an_unknown_submission_is_404(make_bench: MakeBench, identifier: str) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    reply = get(routes.get_submission, bench, id=identifier)
    assert reply.status == 404


@pytest.mark.parametrize("kind", [OutcomeKind.NOT_STARTED, OutcomeKind.UNKNOWN])
def test_azure_ml_or_identity_down_is_202_because_the_ledger_has_the_event(
    make_bench: MakeBench, kind: OutcomeKind
) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    bench.workspace.outcomes = [Outcome(kind=kind, message="down", request_id="r")]
    reply = post(bench)
    assert reply.status == 202
    assert reply.content["state"] in {"pending", "unknown"}
    assert reply.content["reason"] == "down"


def test_health_says_only_whether_the_ledger_answers_and_what_the_last_tick_counted(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    reply = get(routes.health, bench)
    always = {"ledger": "ok", "version": VERSION, "file": bench.config.digest}
    nothing = {"last_tick": None, "dead": None, "held": None}
    assert (reply.status, reply.content) == (200, {**always, **nothing})
    bench.workspace.outcomes = [Outcome(kind=OutcomeKind.REFUSED, message="no")] * 2
    post(bench)
    post(bench)
    bench.app.tick()
    counted = {"last_tick": "2027-03-27T12:00:00Z", "dead": 2, "held": 0}
    assert get(routes.health, bench).content == {**always, **counted}


def test_health_is_503_when_the_ledger_does_not_answer(make_bench: MakeBench) -> None:
    bench = make_bench(HTTP_TRIGGERS, fault=lambda _call: Fault.NOT_CARRIED_OUT)
    reply = get(routes.health, bench)
    assert (reply.status, reply.content["ledger"]) == (503, "unavailable")


def test_a_location_with_any_wrong_part_is_404(make_bench: MakeBench) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    status_token = post(bench).headers["Location"].rpartition("/")[2]
    (one,) = bench.submissions()
    for identifier, secret in [
        (one.id, ""),
        (one.id, status_token[:-1]),
        (one.id, status_token + "x"),
        (one.id, "ü\ud800".encode("utf-8", "surrogatepass").decode("latin-1")),
        ("0" * 32, status_token),
        (one.id.upper(), status_token),
        ("../" + one.id, status_token),
    ]:
        reply = get(routes.status, bench, id=identifier, status_token=secret)
        assert reply.status == 404
        assert "run-1" not in reply.body
    bench.table.transact(
        [Merge(f"sub:{one.id}", {"status_token": ""})]
    )  # a row of an older version
    assert get(routes.status, bench, id=one.id, status_token="").status == 404
    assert get(routes.get_submission, bench, id=one.id).status == 200


def test_a_row_of_an_older_version_has_a_location_that_needs_a_key(make_bench: MakeBench) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    identifier = post(bench, headers={"idempotency-key": "k"}).content["id"]
    bench.table.transact([Merge(f"sub:{identifier}", {"status_token": "", "decisions": "[]"})])
    again = post(bench, headers={"idempotency-key": "k"})
    assert again.headers["Location"].endswith(f"/api/v1/submissions/{identifier}")


def test_the_status_token_is_in_no_reply_except_the_location(make_bench: MakeBench) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    reply = post(bench)
    status_token = reply.headers["Location"].rpartition("/")[2]
    answers = [reply, listed(bench), get(routes.get_submission, bench, id=reply.content["id"])]
    assert status_token not in "".join(one.body for one in answers)


def test_triggers_are_listed_in_pages_and_shown(make_bench: MakeBench) -> None:
    bench = make_bench(SOURCES)
    names: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
        page = routes.list_triggers(bench.app.api, Request(url="https://x/", query=query))
        assert page.status == 200
        names += [one["name"] for one in page.content["triggers"]]
        cursor = page.content["cursor"]
    assert names == list(bench.config.triggers)
    shown = get(routes.get_trigger, bench, name="nightly").content
    assert (shown["enabled"], shown["override"], len(shown["next"])) == (True, None, 5)
    assert get(routes.get_trigger, bench, name="absent").status == 404
    bad = Request(url="https://x/", query={"cursor": write_cursor("trigger:absent")})
    assert routes.list_triggers(bench.app.api, bad).status == 404


def test_a_trigger_is_disabled_and_returned_to_the_file(make_bench: MakeBench) -> None:
    bench = make_bench(SOURCES)
    off = send(routes.set_trigger, bench, {"enabled": False}, name="on-demand")
    assert (off.status, off.content["enabled"], off.content["override"]) == (200, False, False)
    assert post(bench).status == 409
    on = send(routes.set_trigger, bench, {"enabled": None}, name="on-demand")
    assert (on.content["enabled"], on.content["override"]) == (True, None)
    assert post(bench).status == 202


@pytest.mark.parametrize("body", [{}, {"enabled": 0}, {"enabled": "no"}, {"enable": True}, b"[]"])
def test_an_override_must_be_true_false_or_null(make_bench: MakeBench, body: Any) -> None:
    assert send(routes.set_trigger, make_bench(SOURCES), body, name="on-demand").status == 400


def test_submissions_are_replayed_canceled_and_dropped(make_bench: MakeBench) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    bench.workspace.outcomes = [REFUSED, REFUSED]
    for number in range(2):
        post(bench, headers={"idempotency-key": str(number)})
    ids = [one["id"] for one in listed(bench, state="dead").content["submissions"]]
    act = routes.act_on_submission
    replayed = send(act, bench, id=ids[0], action="replay")
    assert (replayed.status, replayed.content["generation"]) == (200, 2)
    assert send(act, bench, id=ids[0], action="cancel").status == 200
    assert send(act, bench, id=ids[1], action="drop").content["state"] == "skipped"
    assert send(act, bench, id=ids[1], action="drop").status == 409
    assert send(act, bench, id=ids[1], action="explode").status == 404
    assert send(act, bench, {"confirm": "yes"}, id=ids[1], action="replay").status == 400
    assert listed(bench, state="dead").content["submissions"] == []


def test_a_replay_that_the_changed_file_cannot_render_is_422(
    make_bench: MakeBench, write_triggers: Callable[[str], Any]
) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    bench.workspace.outcomes = [REFUSED]
    post(bench, {"parameters": {"level": 3}})
    (dead,) = bench.submissions()
    later = bench.restarted(file=write_triggers("on-demand: {pipeline: scoring, http: {}}"))
    assert send(routes.act_on_submission, later, id=dead.id, action="replay").status == 422


def test_the_polling_of_a_held_run_is_resumed(make_bench: MakeBench) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    identifier = post(bench).content["id"]
    submissions = bench.app.services.ledger.submissions
    row = submissions.get(identifier)
    assert row is not None
    submissions.update(row, lambda one: hold(one, "why", now=bench.clock.now()))
    act = routes.act_on_submission
    resumed = send(act, bench, id=identifier, action="resume")
    assert (resumed.status, resumed.content["state"]) == (200, "submitted")
    assert resumed.content["decisions"][-1]["action"] == "resume"
    assert send(act, bench, id=identifier, action="resume").status == 409
