"""Deliberate mistakes that a chaos worker can be told to make: tests prove that the harness notices each of them."""

from __future__ import annotations

import secrets
import threading
import uuid

from local.chaos_seams import Submit
from shared.config import Pipeline
from shared.ledger import ledger
from shared.outcomes import Outcome, OutcomeKind


def settle_before_post(submit: Submit) -> Submit:
    """Say "started" before the POST: whatever goes wrong with it is never known."""

    def submit_later(pipeline: Pipeline, body: bytes) -> Outcome:
        threading.Thread(target=submit, args=(pipeline, body), daemon=True).start()
        identifier = str(uuid.uuid4())
        return Outcome(kind=OutcomeKind.STARTED, run_id=identifier, request_id=identifier)

    return submit_later


def send_again_on_500(submit: Submit) -> Submit:
    """Send the POST again when the service answers 500, as most clients do."""

    def submit_twice(pipeline: Pipeline, body: bytes) -> Outcome:
        outcome = submit(pipeline, body)
        return submit(pipeline, body) if outcome.status == 500 else outcome

    return submit_twice


def use_one_token() -> None:
    """Let all writes of this process carry the same token: then two threads take one claim for theirs."""
    token = secrets.token_hex(16)
    # There is no seam for it, because nobody may ever change it.
    ledger._new_token = lambda: token
