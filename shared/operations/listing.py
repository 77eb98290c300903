"""Lists of submissions: newest first, a page at a time, with a bounded number of storage calls."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime

from shared.core.errors import InvalidRequest, LedgerError, Problem
from shared.core.submissions import ATTENTION, State, Submission
from shared.core.times import read_instant
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Page, Row

MAX_LIST_PAGES = 10
"""Pages of 1,000 rows that one listing reads at most if few rows match."""

MAX_LIMIT = 100
"""Submissions on one page."""

READERS = 8
"""Rows read at a time."""

_LOG_KEY = re.compile(r"log:[0-9]{17}:[0-9a-z]{1,64}")
_ATTENTION_KEY = re.compile(r"attention:(dead|held):[0-9a-z]{1,64}")
_PAGE_ROWS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionFilter:
    """Which submissions a list shows."""

    trigger: str | None = None
    """Only those of this trigger."""
    state: State | None = None
    """Only those in this state."""
    since: datetime | None = None
    """Only those that were claimed then or later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmissionPage:
    """A page of submissions."""

    submissions: tuple[Submission, ...]
    """Those that could be read."""
    cursor: str | None
    """Leads to the next page. None: this is the last one. An empty page may have a cursor."""
    unreadable: tuple[str, ...] = ()
    """The ids of those whose row cannot be read."""


def list_submissions(
    ledger: Ledger,
    wanted: SubmissionFilter | None = None,
    *,
    limit: int = 50,
    cursor: str | None = None,
) -> SubmissionPage:
    """Return a page of submissions, newest first. `dead` and `held` ones come from their index, by id.

    Args:
        ledger: Where they are.
        wanted: Which submissions.
        limit: The most to return, 1 to 100.
        cursor: The cursor of the last page.

    Raises:
        InvalidRequest: The cursor was not made for such a list.
        LedgerUnavailable: The ledger did not answer.
    """
    wanted = wanted or SubmissionFilter()
    if wanted.state is not None and wanted.state in ATTENTION:
        state = wanted.state
        after = read_cursor(cursor, _ATTENTION_KEY)
        if after is not None and not after.startswith(f"attention:{state}:"):
            raise _bad_cursor()
        narrow = wanted.trigger is not None or wanted.since is not None
        ids, last = _find(
            lambda rows, last: ledger.listings.attention(state, limit=rows, after=last),
            lambda row: wanted.trigger in (None, row.values.get("trigger")),
            limit=limit,
            after=after,
            narrow=narrow,
        )
    else:
        ids, last = _find(
            lambda rows, last: ledger.listings.log(limit=rows, after=last),
            lambda row: _matches(row, wanted),
            limit=limit,
            after=read_cursor(cursor, _LOG_KEY),
            narrow=wanted.trigger is not None or wanted.state is not None,
        )
    found, unreadable = _read(ledger, ids)
    if wanted.since is not None:
        found = [one for one in found if one.created >= wanted.since]
    return SubmissionPage(
        submissions=tuple(found),
        cursor=write_cursor(last) if last else None,
        unreadable=tuple(unreadable),
    )


def latest_of(ledger: Ledger, triggers: set[str], *, each: int, pages: int) -> dict[str, list[Row]]:
    """Return the newest `log:` rows of some triggers: at most `each`, from at most so many pages of 1,000.

    Raises:
        LedgerUnavailable: The ledger did not answer.
    """
    found: dict[str, list[Row]] = {name: [] for name in triggers}
    after: str | None = None
    for _ in range(pages):
        page = ledger.listings.log(limit=_PAGE_ROWS, after=after)
        for row in page.rows:
            rows = found.get(str(row.values.get("trigger")))
            if rows is not None and len(rows) < each:
                rows.append(row)
        if page.continuation is None or all(len(rows) == each for rows in found.values()):
            break
        after = page.rows[-1].key if page.rows else after
    return found


def write_cursor(key: str) -> str:
    """Return an opaque text for where a list goes on. It is safe in a URL."""
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def read_cursor(cursor: str | None, pattern: re.Pattern[str]) -> str | None:
    """Read a cursor back.

    Raises:
        InvalidRequest: `write_cursor` did not make it of such a key.
    """
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        key = base64.b64decode(padded.encode("ascii"), altchars=b"-_", validate=True).decode()
    except (UnicodeError, binascii.Error) as error:
        raise _bad_cursor() from error
    if pattern.fullmatch(key) is None or write_cursor(key) != cursor:
        raise _bad_cursor()
    return key


def _bad_cursor() -> InvalidRequest:
    message = "must be the `cursor` of an answer to the same question; leave it out to begin"
    return InvalidRequest(
        "the cursor cannot be used", problems=[Problem(where="cursor", message=message)]
    )


class _TooOld(Exception):
    """This row, and all behind it, are older than the filter wants."""


def _matches(row: Row, wanted: SubmissionFilter) -> bool:
    created = row.values.get("created")
    if (
        wanted.since is not None
        and isinstance(created, str)
        and read_instant(created) < wanted.since
    ):
        raise _TooOld
    return wanted.trigger in (None, row.values.get("trigger")) and wanted.state in (
        None,
        row.values.get("state"),
    )


def _find(
    read: Callable[[int, str | None], Page],
    matches: Callable[[Row], bool],
    *,
    limit: int,
    after: str | None,
    narrow: bool,
) -> tuple[list[str], str | None]:
    """Return the ids of the rows that match, and the key to go on behind. None: at the end.

    It looks at one row more than the limit, so that the last page is known to be the last.
    """
    found: list[str] = []
    for _ in range(MAX_LIST_PAGES):
        page = read(_PAGE_ROWS if narrow else limit - len(found) + 1, after)
        for row in page.rows:
            if len(found) == limit:
                return found, after
            try:
                if matches(row):
                    found.append(row.key.rpartition(":")[2])
            except _TooOld:
                return found, None
            after = row.key
        if page.continuation is None:
            return found, None
    return found, after


def _read(ledger: Ledger, ids: list[str]) -> tuple[list[Submission], list[str]]:
    """Read submissions. Those that have vanished meanwhile are left out."""

    def get(submission_id: str) -> Submission | str | None:
        try:
            return ledger.submissions.get(submission_id)
        except LedgerError:
            return submission_id

    if not ids:
        return [], []
    with ThreadPoolExecutor(min(READERS, len(ids)), "list-read") as readers:
        rows = list(readers.map(get, ids))
    return (
        [row for row in rows if isinstance(row, Submission)],
        [row for row in rows if isinstance(row, str)],
    )
