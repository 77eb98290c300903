"""Correlation ids, and the times that keep a lease longer than a POST."""

from __future__ import annotations

from dataclasses import replace

from shared.clients.transport import DEADLINE
from shared.core.leases import LEASE, MAX_CLAIM_AGE, POST_DEADLINE
from shared.core.submissions import ATTENTION, OPEN, State
from tests.examples import submission

CLAIMED = submission()


def test_a_correlation_id_holds_the_id_and_the_generation() -> None:
    assert CLAIMED.correlation_id == f"{CLAIMED.id}-1"
    assert replace(CLAIMED, generation=2).correlation_id == f"{CLAIMED.id}-2"


def test_a_claim_is_never_sent_so_late_that_its_lease_could_run_out_before_the_answer() -> None:
    assert MAX_CLAIM_AGE + POST_DEADLINE < LEASE
    assert DEADLINE == POST_DEADLINE


def test_a_generation_was_claimed_when_the_submission_was_unless_it_says_otherwise() -> None:
    assert CLAIMED.started_trying == CLAIMED.created
    replayed = replace(CLAIMED, since=CLAIMED.created + LEASE)
    assert replayed.started_trying == CLAIMED.created + LEASE


def test_an_unknown_run_may_exist_after_a_lost_answer_until_a_run_is_found() -> None:
    lost = replace(CLAIMED, unknown_since=CLAIMED.created)
    assert (CLAIMED.may_have_run, lost.may_have_run) == (False, True)
    assert not replace(lost, run_id="run-1").may_have_run


def test_a_status_token_and_the_rows_version_are_not_printed() -> None:
    text = repr(replace(CLAIMED, status_token="s3cret", etag="W/1"))
    assert "s3cret" not in text
    assert "W/1" not in text


def test_the_states_are_open_or_final_and_attention_is_for_final_ones() -> None:
    assert OPEN | {State.FINISHED, State.HELD, State.DEAD, State.SKIPPED} == set(State)
    assert not OPEN & ATTENTION
