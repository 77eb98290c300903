"""Correlation ids, and the times that keep a lease longer than a POST."""

from __future__ import annotations

from dataclasses import replace

from shared.clients.transport import DEADLINE
from shared.core.submissions import LEASE, MAX_CLAIM_AGE, POST_DEADLINE
from tests.examples import submission

CLAIMED = submission()


def test_a_correlation_id_holds_the_id_and_the_generation() -> None:
    assert CLAIMED.correlation_id == f"{CLAIMED.id}-1"
    assert replace(CLAIMED, generation=2).correlation_id == f"{CLAIMED.id}-2"


def test_a_claim_is_never_sent_so_late_that_its_lease_could_run_out_before_the_answer() -> None:
    assert MAX_CLAIM_AGE + POST_DEADLINE < LEASE
    assert DEADLINE == POST_DEADLINE
