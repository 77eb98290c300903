"""Read a request's query: known names only, each with a bound."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from shared.core.errors import InvalidRequest, Problem
from shared.core.submissions import State
from shared.core.times import read_instant
from shared.operations.listing import MAX_LIMIT
from shared.web.api.requests import cut

KEY_NAMES = frozenset({"code", "clientId"})
"""What the Functions host itself reads from a query: a key, and its name."""

MAX_NAME_LENGTH = 260
MAX_CURSOR_LENGTH = 400
DEFAULT_LIMIT = 50


class Query:
    """A request's query.

    Args:
        values: As the host decoded them.
        allowed: The names that this route knows.

    Raises:
        InvalidRequest: There is another name.
    """

    def __init__(self, values: Mapping[str, str], *, allowed: frozenset[str]) -> None:
        self._values = values
        unknown = sorted(values.keys() - allowed - KEY_NAMES)
        if unknown:
            known = ", ".join(sorted(allowed)) or "none"
            raise _wrong(*((cut(name), f"is not known here; allowed: {known}") for name in unknown))

    def text(self, name: str, *, longest: int = MAX_NAME_LENGTH) -> str | None:
        """Return a text of bounded length."""
        value = self._values.get(name)
        if value is not None and not 0 < len(value) <= longest:
            raise _wrong((name, f"must have 1 to {longest} characters"))
        return value

    def cursor(self) -> str | None:
        """Return the cursor; whoever made it checks it."""
        return self.text("cursor", longest=MAX_CURSOR_LENGTH)

    def limit(self) -> int:
        """Return how many are wanted on a page."""
        value = self._values.get("limit")
        if value is None:
            return DEFAULT_LIMIT
        if not (value.isascii() and value.isdecimal() and 0 < int(value[:9]) <= MAX_LIMIT):
            raise _wrong(("limit", f"must be a whole number from 1 to {MAX_LIMIT}"))
        return int(value)

    def state(self) -> State | None:
        """Return a state."""
        value = self._values.get("state")
        if value is None:
            return None
        try:
            return State(value)
        except ValueError as error:
            raise _wrong(("state", f"must be one of {', '.join(State)}")) from error

    def instant(self, name: str) -> datetime | None:
        """Return an instant."""
        value = self._values.get(name)
        if value is None:
            return None
        try:
            # A query turns the plus of +02:00 into a blank.
            return read_instant(value.replace(" ", "+"))
        except (ValueError, OverflowError) as error:
            raise _wrong((name, "must be an instant such as 2027-03-27T01:30:00Z")) from error


def _wrong(*mistakes: tuple[str, str]) -> InvalidRequest:
    problems = [Problem(where=where, message=message) for where, message in mistakes]
    return InvalidRequest("the query cannot be used", problems=problems)
