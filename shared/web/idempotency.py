"""Reads the headers that make a repeated request the same submission."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from shared.core.errors import InvalidRequest, Problem

HEADER = "Idempotency-Key"

MAX_KEY_LENGTH = 255
"""Characters of an `Idempotency-Key`. The deduplication key hashes it, so that the ledger's limits do not matter."""


def read_request_key(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return the parts that identify a request: `HttpEvent.key`.

    The caller's `Idempotency-Key` comes first. Logic Apps repeats an action with the same workflow run id and operation
    name, which are used next (Microsoft Learn: Logic Apps HTTP action headers). A request without either is new.

    Args:
        headers: Headers by lower-case name.

    Raises:
        InvalidRequest: The `Idempotency-Key` is empty, too long or not printable.
    """
    key = headers.get(HEADER.lower())
    if key is not None:
        _check_key(key)
        return ("key", key)
    run, operation = (headers.get(f"x-ms-workflow-{name}") for name in ("run-id", "operation-name"))
    if run and operation:
        return ("logic-apps", run, operation)
    # A random part makes the deduplication key unique, so that each such request is its own submission.
    return ("new", secrets.token_hex(16))


def _check_key(key: str) -> None:
    """Check an `Idempotency-Key`.

    Raises:
        InvalidRequest: The key is empty, too long or not printable.
    """
    if 0 < len(key) <= MAX_KEY_LENGTH and key.isprintable():
        return
    found = f"{len(key)} characters" if key.isprintable() else "a character that is not printable"
    message = f"found {found}; expected 1 to {MAX_KEY_LENGTH} printable characters"
    raise InvalidRequest(
        f"the {HEADER} header is invalid", problems=[Problem(where=HEADER, message=message)]
    )
