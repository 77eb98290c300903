"""The outcome of the POST that starts a run, read from its answer or from its error.

The POST is not idempotent. The outcome is "not started" only if Azure ML definitely did not start a run. Otherwise it
is `UNKNOWN`, for example if the answer is unreadable, or if the connection ended after a byte of the request left. The
app then searches for the run.
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
from shared.core.transitions import LONGEST_WAIT
from shared.pipelines.service_json import error_of, get_value, load_json, read_status, run_id_of

_TAGS = re.compile(
    r"<(?:script|style)\b.*?</(?:script|style)\s*>|<[^<>]*>", re.DOTALL | re.IGNORECASE
)
_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")
_AMBIGUOUS = "ambiguous: a run may have started."


def read_answer(
    answer: ServiceAnswer, *, identity: str, scope: str, now: Callable[[], datetime]
) -> Outcome:
    """Return the outcome of a POST from its answer.

    Args:
        answer: The whole answer.
        identity: The identity that called (`Tokens.describe`), for messages about roles.
        scope: The scope of the token that was sent.
        now: Returns the current time (timezone-aware), for a `Retry-After` that is a date.
    """
    content = load_json(answer.content)
    kind = _kind(answer.status)
    run_id = run_id_of(content) if kind is OutcomeKind.STARTED else None
    if kind is OutcomeKind.STARTED and run_id is None:
        kind = OutcomeKind.UNKNOWN
    code, text = error_of(content) if run_id is None else (None, None)
    if text is None and run_id is None and content is None:
        text = _plain_text(answer.content)
    return Outcome(
        kind=kind,
        run_id=run_id,
        run_status=read_status(get_value(content, "status")) if run_id is not None else None,
        status=answer.status,
        code=code,
        message=None if run_id is not None else _message(answer, kind, code, text, identity, scope),
        retry_after=_retry_after(answer.headers.get("retry-after"), now=now),
        request_id=answer.request_id,
        service_request_id=_service_request_id(answer.headers),
    )


def read_failure(error: CallError | TokenUnavailable) -> Outcome:
    """Return the outcome of a POST from the error that `Transport.send` raised."""
    # The class of the library's error does not decide. azure-core raises `ServiceRequestError` for a refused connection
    # and for a TLS error after the server had read the whole POST. The call knows whether a byte may have left.
    ambiguous = isinstance(error, CallError) and error.sent
    details = describe_failure(error)
    return Outcome(
        kind=OutcomeKind.UNKNOWN if ambiguous else OutcomeKind.NOT_STARTED,
        message=redact(f"{_AMBIGUOUS} {_capitalized(details)}") if ambiguous else details,
        request_id=error.request_id if isinstance(error, CallError) else None,
    )


def describe_failure(error: CallError | TokenUnavailable) -> str:
    """Return a message about an error of `Transport.send`, with its cause."""
    # The messages of these two are complete. The cause of a `TokenUnavailable` often claims that there is no identity.
    if isinstance(error, TokenUnavailable | NotSent):
        return redact(str(error))
    cause = error.__cause__
    details = str(error)
    if cause is not None:
        details += f" ({str(cause) or type(cause).__name__})"
    if error.sent:
        return redact(details)
    return redact(f"not sent: Azure ML could not be reached. {_capitalized(details)}")


def _kind(status: int) -> OutcomeKind:
    """Return the outcome of a status. A 2xx is `STARTED` even if the answer names no run."""
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
    text: str | None,
    identity: str,
    scope: str,
) -> str:
    """Return the message for an answer that names no run: the finding, how to fix it, the service's own reason."""
    reason = ": ".join(part for part in (code, text) if part) or "no reason given"
    answered = f"Azure ML answered {answer.status}"
    if kind is OutcomeKind.FORBIDDEN:
        # The service's reason comes last: it may be long, and `redact` cuts the end of the message.
        return redact(
            f"{answered} to {identity} with a token for {scope}. Assign it the role AzureML Data Scientist on the "
            "workspace, or a custom role with the action "
            "Microsoft.MachineLearningServices/workspaces/experiments/runs/submit/action. "
            f"A new role takes up to an hour to take effect. {reason}"
        )
    if 200 <= answer.status < 300:
        return redact(f"{_AMBIGUOUS} {answered}, but no run id could be read from it: {reason}")
    if kind is OutcomeKind.UNKNOWN:
        return redact(f"{_AMBIGUOUS} {answered}: {reason}")
    if 300 <= answer.status < 400:
        return redact(
            f"{answered}, and the app does not follow redirects. Correct the pipeline's endpoint in the triggers file. "
            f"{reason}"
        )
    return redact(f"{answered}: {reason}")


def _plain_text(content: bytes) -> str | None:
    """Return the text of an HTML page or of a plain body, or None if there is none."""
    text = content[:20_000].decode("utf-8", errors="replace")
    return redact(" ".join(_TAGS.sub(" ", text).split())) or None


def _retry_after(value: str | None, *, now: Callable[[], datetime]) -> timedelta | None:
    """Return the wait that a `Retry-After` asks for, in seconds or by a date, or None if it is malformed or past.

    A wait that is longer than `LONGEST_WAIT` counts as that.
    """
    if value is None:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value):
        return min(timedelta(seconds=float(value)), LONGEST_WAIT)
    try:
        until = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if until.tzinfo is None:  # the zone is `-0000`, which means UTC (RFC 5322)
        until = until.replace(tzinfo=UTC)
    wait = until - now()
    return min(wait, LONGEST_WAIT) if wait >= timedelta() else None


def _service_request_id(headers: Mapping[str, str]) -> str | None:
    for name in ("x-ms-request-id", "request-id", "x-request-id"):
        if headers.get(name):
            return redact(headers[name], limit=100)
    return None


def _capitalized(text: str) -> str:
    return text[:1].upper() + text[1:]
