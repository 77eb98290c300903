"""Deliberate defects of a chaos worker. The tests inject them to check that the harness detects each one."""

from __future__ import annotations

import secrets
import threading
import uuid
from dataclasses import replace

from local.chaos.fault_points import ChaosWorkspace
from shared.config.model import Pipeline
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.runs import ReferenceRun, SearchResult
from shared.ledger import submissions


class SettleBeforePost(ChaosWorkspace):
    """A workspace client that reports "started" before it sends the POST, so a failed POST goes unnoticed."""

    def submit(self, pipeline: Pipeline, body: bytes) -> Outcome:
        """Send the POST in the background and return an invented run id."""
        threading.Thread(target=super().submit, args=(pipeline, body), daemon=True).start()
        identifier = str(uuid.uuid4())
        return Outcome(kind=OutcomeKind.STARTED, run_id=identifier, request_id=identifier)


class SendAgainOn500(ChaosWorkspace):
    """A workspace client that retries the POST after a 500, as most HTTP clients do."""

    def submit(self, pipeline: Pipeline, body: bytes) -> Outcome:
        """Send the POST, and send it a second time after a 500."""
        outcome = super().submit(pipeline, body)
        return super().submit(pipeline, body) if outcome.status == 500 else outcome


class TrustBlindSearch(ChaosWorkspace):
    """A workspace client that treats every search as conclusive, even one that cannot see existing runs."""

    def search(
        self,
        pipeline: Pipeline,
        *,
        experiment: str,
        correlation_id: str,
        reference: str | None,
        newer: ReferenceRun | None = None,
    ) -> SearchResult:
        """Search, and claim that the reference run was visible."""
        found = super().search(
            pipeline,
            experiment=experiment,
            correlation_id=correlation_id,
            reference=reference,
            newer=newer,
        )
        return replace(found, saw_reference=True)


def use_one_token() -> None:
    """Give all writes of this process the same token, so that two threads both believe they won one claim."""
    token = secrets.token_hex(16)
    # The product has no setting for this token on purpose, so the defect replaces the function.
    submissions._new_token = lambda: token


DEFECTIVE_WORKSPACES: dict[str, type[ChaosWorkspace]] = {
    "settle_before_post": SettleBeforePost,
    "send_again_on_500": SendAgainOn500,
    "trust_blind_search": TrustBlindSearch,
}
"""The defects that are workspace clients, by their name in `DEFECTS`."""
