"""Problem replies (RFC 9457): how every route reports an error.

A problem never repeats a header. It repeats a caller's text only through `cut`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.core.errors import Problem, RequestError
from shared.core.submissions import State
from shared.web.exchange import Reply

MEDIA_TYPE = "application/problem+json"

RETRY_AFTER_SECONDS = 30
"""`Retry-After` of a 503: about as long as a storage failover or a restart of the identity endpoint takes."""

MAX_TEXT_LENGTH = 80
"""Characters of a caller's text that a reply repeats."""


class FieldErrorView(BaseModel):
    """One invalid field of a request."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    where: str = Field(description="The field, as a dotted path.")
    message: str = Field(description="The value found, the value expected, and how to fix it.")


class ProblemView(BaseModel):
    """A problem (RFC 9457)."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    type: Literal["about:blank"] = "about:blank"
    title: str = Field(description="The kind of problem.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="The cause, and how to fix it.")
    request_id: str | None = Field(
        default=None,
        description="The caller's `x-ms-client-request-id`, or a new id. The log record has the same id.",
    )
    trigger: str | None = Field(default=None, description="The trigger's name.")
    submission: str | None = Field(default=None, description="The submission's id.")
    state: State | None = Field(default=None, description="The submission's state.")
    code: str | None = Field(default=None, description="Azure ML's error code.")
    service_request_id: str | None = Field(
        default=None, description="Azure ML's id of the request that it answered."
    )
    run_id: str | None = Field(default=None, description="The run's id.")
    run_status: str | None = Field(default=None, description="The run's status in Azure ML.")
    errors: list[FieldErrorView] | None = Field(
        default=None, description="Every invalid field of the request."
    )


def error_problem(error: RequestError, **about: Any) -> Reply:  # noqa: ANN401 — ProblemView checks them
    """Return the problem of an invalid or refused request."""
    return problem(error.status, error.title, str(error), problems=error.problems, **about)


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    problems: Sequence[Problem] = (),
    **about: Any,  # noqa: ANN401 — ProblemView checks them
) -> Reply:
    """Return a problem.

    Args:
        status: The HTTP status.
        title: The kind of problem.
        detail: The cause, and how to fix it.
        problems: Every invalid field.
        about: Other members of `ProblemView`. Members that are None are left out.
    """
    errors = [{"where": item.where, "message": item.message} for item in problems] or None
    members = {"title": title, "status": status, "detail": detail, "errors": errors, **about}
    view = ProblemView.model_validate(members)
    return Reply(
        status=status,
        content=view.model_dump(mode="json", exclude_none=True),
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)} if status == 503 else {},
        media_type=MEDIA_TYPE,
    )


def cut(text: str) -> str:
    """Return a caller's text in a form that a reply can repeat: printable, and 80 characters at most."""
    plain = "".join(character if character.isprintable() else "�" for character in text)
    return plain if len(plain) <= MAX_TEXT_LENGTH else f"{plain[: MAX_TEXT_LENGTH - 3]}…"
