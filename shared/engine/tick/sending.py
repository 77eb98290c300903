"""Sends what a tick has claimed, for as long as the tick has for that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from shared.core.submissions import Submission
from shared.engine.send import send, withdraw
from shared.engine.services import Services
from shared.engine.tick.work import Task, Work


def send_claimed(
    services: Services, claimed: Sequence[Submission], *, until: float
) -> tuple[tuple[Submission, ...], Sequence[Exception]]:
    """Send submissions that this process has claimed.

    A submission whose turn has not come is withdrawn: it is `pending`, and the due work sends it. A POST that hangs
    goes on in its thread, which records the outcome. Whatever happens, the lease of a submission protects it.

    Args:
        services: The app's parts.
        claimed: The submissions.
        until: When to send no more, in seconds of the monotonic clock.

    Returns:
        The submissions as the ledger has them now, without those whose POST hangs, and the unexpected errors.
    """
    settled: dict[str, Submission] = {}

    def settle(step: Callable[[Services, Submission], Submission], submission: Submission) -> None:
        settled[submission.id] = step(services, submission)

    posts = Work(
        services,
        (
            Task(
                submission=one.id,
                endpoint=_called_endpoint(services, one),
                post=True,
                do=partial(settle, send, one),
            )
            for one in claimed
        ),
    )
    posts.work_off(until=until, name="tick-send")
    left = {task.submission for task in posts.left}
    unsent = Work(
        services,
        (
            Task(submission=one.id, endpoint=None, do=partial(settle, withdraw, one))
            for one in claimed
            if one.id in left
        ),
    )
    unsent.work_off(until=until, name="tick-withdraw")
    sent = tuple(settled[one.id] for one in claimed if one.id in settled)
    return sent, [*posts.failures, *unsent.failures]


def _called_endpoint(services: Services, submission: Submission) -> str | None:
    """Return the endpoint that a submission goes to. None: it does not go there, since the circuit is open."""
    digest = submission.endpoint_digest
    return None if services.circuits.is_open(digest) else digest
