"""Reads the values of a request's query, each within a bound. The route's entry checks the names."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from shared.core.errors import InvalidRequest, Problem
from shared.core.submissions import State
from shared.core.suggestions import did_you_mean
from shared.core.times import read_instant
from shared.operations.listing import MAX_LIMIT
from shared.web.problems import cut

MAX_NAME_LENGTH = 260
"""Characters of a name in a query or a path."""

MAX_CURSOR_LENGTH = 400
"""Characters of a cursor, which is base64 of a ledger key."""

DEFAULT_LIMIT = 50
"""Entries on one page."""


class Query:
    """The values of a request's query.

    Args:
        values: Values by name, decoded by the host.
    """

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values

    def text(self, name: str, *, max_length: int = MAX_NAME_LENGTH) -> str | None:
        """Return a text, or None if the query does not have it.

        Raises:
            InvalidRequest: The text is empty or too long.
        """
        value = self._values.get(name)
        if value is not None and not 0 < len(value) <= max_length:
            message = f"found {len(value)} characters; expected 1 to {max_length} characters"
            raise _invalid(name, message)
        return value

    def cursor(self) -> str | None:
        """Return the cursor, which `read_cursor` decodes and checks.

        Raises:
            InvalidRequest: The cursor is empty or too long.
        """
        return self.text("cursor", max_length=MAX_CURSOR_LENGTH)

    def limit(self) -> int:
        """Return the number of entries on a page, 50 by default.

        Raises:
            InvalidRequest: The limit is not a whole number from 1 to 100.
        """
        value = self._values.get("limit")
        if value is None:
            return DEFAULT_LIMIT
        # Only a part is parsed: Python refuses to parse thousands of digits.
        if not (value.isascii() and value.isdecimal() and 0 < int(value[:9]) <= MAX_LIMIT):
            message = f"found {cut(value)}; expected a whole number from 1 to {MAX_LIMIT}"
            raise _invalid("limit", message)
        return int(value)

    def state(self) -> State | None:
        """Return the state, or None if the query does not have it.

        Raises:
            InvalidRequest: The value is not a state.
        """
        value = self._values.get("state")
        if value is None:
            return None
        try:
            return State(value)
        except ValueError as error:
            found = f"found {cut(value)}{did_you_mean(value, State)}"
            raise _invalid("state", f"{found}; expected one of {', '.join(State)}") from error

    def instant(self, name: str) -> datetime | None:
        """Return a time, or None if the query does not have it.

        Raises:
            InvalidRequest: The value is not a time with an offset.
        """
        value = self._values.get(name)
        if value is None:
            return None
        try:
            # URL decoding turns the plus of +02:00 into a space, if the caller did not encode it.
            return read_instant(value.replace(" ", "+"))
        except (ValueError, OverflowError) as error:
            expected = "expected a time with an offset, such as 2027-03-27T01:30:00Z"
            raise _invalid(name, f"found {cut(value)}; {expected}") from error


def _invalid(where: str, message: str) -> InvalidRequest:
    return InvalidRequest(
        "the query has an invalid value", problems=[Problem(where=where, message=message)]
    )
