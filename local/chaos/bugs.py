"""Deliberate mistakes that a chaos worker can be told to make: tests prove that the harness notices each of them."""

from __future__ import annotations

import secrets
import threading
import uuid
from dataclasses import replace

from local.chaos.fault_points import ChaosWorkspace
from shared.config.model import Pipeline
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import SearchResult
from shared.ledger import submissions


class SettleBeforePost(ChaosWorkspace):
    """Says "started" before the POST: whatever goes wrong with it is never known."""

    def submit(self, pipeline: Pipeline, body: bytes) -> Outcome:
        """Post later, and make up a run's id."""
        threading.Thread(target=super().submit, args=(pipeline, body), daemon=True).start()
        identifier = str(uuid.uuid4())
        return Outcome(kind=OutcomeKind.STARTED, run_id=identifier, request_id=identifier)


class SendAgainOn500(ChaosWorkspace):
    """Sends the POST again when the service answers 500, as most clients do."""

    def submit(self, pipeline: Pipeline, body: bytes) -> Outcome:
        """Post, and post again."""
        outcome = super().submit(pipeline, body)
        return super().submit(pipeline, body) if outcome.status == 500 else outcome


class TrustBlindSearch(ChaosWorkspace):
    """Lets every search count, whether or not it can see what is there."""

    def search(
        self, pipeline: Pipeline, *, experiment: str, correlation_id: str, reference: str | None
    ) -> SearchResult:
        """Search, and believe it."""
        found = super().search(
            pipeline, experiment=experiment, correlation_id=correlation_id, reference=reference
        )
        return replace(found, saw_reference=True)


def use_one_token() -> None:
    """Let all writes of this process carry the same token: then two threads take one claim for theirs."""
    token = secrets.token_hex(16)
    # There is no seam for it, because nobody may ever change it.
    submissions._new_token = lambda: token


WORKSPACES: dict[str, type[ChaosWorkspace]] = {
    "settle_before_post": SettleBeforePost,
    "send_again_on_500": SendAgainOn500,
    "trust_blind_search": TrustBlindSearch,
}
"""The mistakes that a workspace makes, by name."""
