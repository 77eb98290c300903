"""What an answer, or the lack of one, says about a run: the table *The outcome of a POST* of the design.

The POST is not idempotent, so "not started" is said only where it is certain. Where anything is unclear (an answer
that cannot be read, a connection that ended after the request may have left), the outcome is `UNKNOWN`, and the run
is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from shared.core.errors import CallError, NotSent, TokenUnavailable
from shared.core.outcomes import Outcome, OutcomeKind, ServiceAnswer
from shared.core.redaction import redact
from shared.pipelines.service_json import error_of, get_value, load_json, read_status, run_id_of

_TAGS = re.compile(
    r"<(?:script|style)\b.*?</(?:script|style)\s*>|<[^<>]*>", re.DOTALL | re.IGNORECASE
)
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


def read_answer(
    answer: ServiceAnswer, *, identity: str, scope: str, now: Callable[[], datetime]
) -> Outcome:
    """Say what a submission's answer means.

    Args:
        answer: The whole answer.
        identity: Who asked (`Tokens.describe`), for messages about roles.
        scope: What the token was for.
        now: Says the time, aware, for a `Retry-After` that is a date.
    """
    content = load_json(answer.content)
    kind = _kind(answer.status)
    run_id = run_id_of(content) if kind is OutcomeKind.STARTED else None
    if kind is OutcomeKind.STARTED and run_id is None:
        kind = OutcomeKind.UNKNOWN
    code, said = error_of(content) if run_id is None else (None, None)
    if said is None and run_id is None and content is None:
        said = _plain_text(answer.content)
    return Outcome(
        kind=kind,
        run_id=run_id,
        run_status=read_status(get_value(content, "status")) if run_id is not None else None,
        status=answer.status,
        code=code,
        message=None if run_id is not None else _message(answer, kind, code, said, identity, scope),
        retry_after=_retry_after(answer.headers.get("retry-after"), now=now),
        request_id=answer.request_id,
        service_request_id=_service_request_id(answer.headers),
    )


def read_failure(error: CallError | TokenUnavailable) -> Outcome:
    """Say what it means that a call raised instead of answering.

    What decides is whether a byte of the request may have left, which the call knows. It is not concluded from an
    error's class: azure-core's `ServiceRequestError` covers a refused connection as well as a TLS error after the
    server had read the whole POST.

    Args:
        error: What `Transport.send` raised.
    """
    request_id = error.request_id if isinstance(error, CallError) else None
    if isinstance(error, CallError) and error.sent:
        kind, said = OutcomeKind.UNKNOWN, "no answer: nobody knows whether a run was started. "
    elif isinstance(error, TokenUnavailable | NotSent):
        kind, said = OutcomeKind.NOT_STARTED, ""
    else:
        kind, said = OutcomeKind.NOT_STARTED, "not sent: the workspace could not be reached. "
    return Outcome(kind=kind, message=redact(said + _tell(error)), request_id=request_id)


def _kind(status: int) -> OutcomeKind:
    """Return what a status means, taking every 2xx for a run."""
    if 200 <= status < 300:
        return OutcomeKind.STARTED
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return OutcomeKind.THROTTLED
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        return OutcomeKind.FORBIDDEN
    if 300 <= status < 500 and status != HTTPStatus.REQUEST_TIMEOUT:
        return OutcomeKind.REFUSED
    return OutcomeKind.UNKNOWN


def _message(
    answer: ServiceAnswer,
    kind: OutcomeKind,
    code: str | None,
    said: str | None,
    identity: str,
    scope: str,
) -> str:
    detail = ": ".join(part for part in (code, said) if part) or "it gave no reason"
    if kind is OutcomeKind.FORBIDDEN:
        # The service's own text may be long, and what to do must not be cut off.
        return redact(
            f"the workspace answered {answer.status} to {identity} with a token for {scope}. Give it the role "
            "AzureML Data Scientist on the workspace, or a custom role with the action "
            "Microsoft.MachineLearningServices/workspaces/experiments/runs/submit/action; "
            f"a role takes up to an hour to apply. {detail}"
        )
    if 300 <= answer.status < 400:
        detail = f"redirects are not followed; correct the pipeline's endpoint. {detail}"
    if kind is OutcomeKind.UNKNOWN:
        detail = f"nobody knows whether a run was started. {detail}"
        if 200 <= answer.status < 300:
            detail = f"no run id could be read in the answer; {detail}"
    return redact(f"the workspace answered {answer.status}: {detail}")


def _plain_text(content: bytes) -> str | None:
    """Return what an HTML page or a plain text says; None for an empty body."""
    text = content[:20_000].decode("utf-8", errors="replace")
    return redact(" ".join(_TAGS.sub(" ", text).split())) or None


def _retry_after(value: str | None, *, now: Callable[[], datetime]) -> timedelta | None:
    """Return how long the service asked to wait, by seconds or by an HTTP date; None where it makes no sense."""
    if value is None:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return timedelta(seconds=float(value))
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if until.tzinfo is None:  # `-0000`, which says UTC (RFC 5322)
        until = until.replace(tzinfo=UTC)
    wait = until - now()
    return wait if wait >= timedelta() else None


def _service_request_id(headers: Mapping[str, str]) -> str | None:
    for name in ("x-ms-request-id", "request-id", "x-request-id"):
        if headers.get(name):
            return redact(headers[name], limit=100)
    return None


def _tell(error: CallError | TokenUnavailable) -> str:
    """Describe an error with the cause that the transport gave it."""
    cause = None if isinstance(error, NotSent) else error.__cause__
    return f"{error} ({type(cause).__name__}: {cause})" if cause is not None else str(error)
