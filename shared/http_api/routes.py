"""The routes: each takes what the host decoded and gives what the host encodes."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Concatenate
from urllib.parse import urlsplit

from shared.accepting import Ignored
from shared.errors import LedgerError, RequestError, Unavailable
from shared.events import print_instant
from shared.http_api.exchange import Reply, Request
from shared.http_api.requests import read_event
from shared.http_api.views import problem, view_error, view_submission
from shared.operations import Operations

logger = logging.getLogger(__name__)


def _answering[**P](
    route: Callable[Concatenate[Operations, Request, P], Reply],
) -> Callable[Concatenate[Operations, Request, P], Reply]:
    """Turn our own errors into problems; anything else is a bug, and the host answers 500 without details."""

    def answer(
        operations: Operations, request: Request, /, *args: P.args, **kwargs: P.kwargs
    ) -> Reply:
        try:
            return route(operations, request, *args, **kwargs)
        except RequestError as error:
            return view_error(error)
        except Unavailable:
            logger.exception("a call could not be served", extra={"action": "call_failed"})
            return problem(503, "Not available now", "the ledger did not answer; try again")
        except LedgerError as error:
            logger.exception("a call could not be served", extra={"action": "call_failed"})
            return problem(503, "Not available now", str(error))

    return answer


@_answering
def submit(operations: Operations, request: Request, name: str) -> Reply:
    """Start an HTTP trigger: 202 with the submission and its `Location`."""
    event = read_event(operations.config, operations.trigger(name), request, now=operations.clock())
    result = operations.start(event)
    if isinstance(result, Ignored):
        return problem(409, "Nothing was started", result.reason)
    location = _beside(request.url, f"submissions/{result.id}")
    return Reply(status=202, content=view_submission(result), headers={"Location": location})


@_answering
def get_submission(operations: Operations, request: Request, submission_id: str) -> Reply:  # noqa: ARG001 — all routes are alike
    """Show a submission: 200 whatever its state."""
    return Reply(status=200, content=view_submission(operations.submission(submission_id)))


def health(operations: Operations, request: Request) -> Reply:  # noqa: ARG001 — all routes are alike
    """Say whether the ledger answers and when the last tick was: nothing else, since anybody may ask."""
    try:
        tick = operations.last_tick()
    except Unavailable:
        logger.exception("the ledger does not answer", extra={"action": "health_failed"})
        return Reply(status=503, content={"ledger": "unavailable", "last_tick": None})
    last = print_instant(tick.last) if tick.last else None
    return Reply(status=200, content={"ledger": "ok", "last_tick": last})


def _beside(url: str, path: str) -> str:
    """Return the address of another resource of this API, under the same host and prefix."""
    parts = urlsplit(url)
    prefix = parts.path[: parts.path.lower().find("/v1/")]
    return f"{parts.scheme}://{parts.netloc}{prefix}/v1/{path}"
