"""Run history's query language, as far as Azure ML's SDK uses it, and searches that mislead."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class SearchMode(StrEnum):
    """Which runs a search shows."""

    NORMAL = "normal"
    """Every run of the experiment, at once."""
    BLIND = "blind"
    """No run, although the experiment exists."""
    LAGGING = "lagging"
    """Only runs of the experiment that are older than the lag."""
    OTHER_EXPERIMENTS = "other-experiments"
    """Only runs of other experiments."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchVisibility:
    """Which runs searches show at present."""

    mode: SearchMode = SearchMode.NORMAL
    """Which runs a search shows."""
    lag: timedelta = timedelta(minutes=5)
    """The age from which a `LAGGING` search shows a run."""

    def shows(self, *, experiment: str, asked: str, created: datetime, now: datetime) -> bool:
        """Return whether a search shows a run.

        Args:
            experiment: The run's experiment.
            asked: The experiment that is searched.
            created: When the run was created.
            now: The current time.
        """
        match self.mode:
            case SearchMode.BLIND:
                return False
            case SearchMode.LAGGING:
                return experiment == asked and now - created >= self.lag
            case SearchMode.OTHER_EXPERIMENTS:
                return experiment != asked
            case SearchMode.NORMAL:
                return experiment == asked


class BadQuery(Exception):
    """The query cannot be read. The message says where."""


type Dto = Mapping[str, Any]
type Test = Callable[[Dto], bool]

MAX_TOP = 500
"""The maximum number of runs on one page of a search."""

_FIELDS = {
    "RunId": "runId",
    "RootRunId": "rootRunId",
    "ParentRunId": "parentRunId",
    "Status": "status",
    "RunType": "runType",
    "CreatedUtc": "createdUtc",
    "StartTimeUtc": "startTimeUtc",
    "EndTimeUtc": "endTimeUtc",
}
_TOKEN = re.compile(r'\s*(?:(?P<sign>[()])|(?P<text>"[^"]*")|(?P<word>[^\s()"]+))')
_COMPARE: Mapping[str, Callable[[str | None, str | None], bool]] = {
    "eq": lambda found, wanted: found == wanted,
    "ne": lambda found, wanted: found != wanted,
    "ge": lambda found, wanted: found is not None and wanted is not None and found >= wanted,
    "gt": lambda found, wanted: found is not None and wanted is not None and found > wanted,
    "le": lambda found, wanted: found is not None and wanted is not None and found <= wanted,
    "lt": lambda found, wanted: found is not None and wanted is not None and found < wanted,
}


def read_filter(text: str) -> Test:
    """Compile a filter: comparisons such as `(Tags/key eq "value")`, joined by `and` and `or`.

    Raises:
        BadQuery: The text is not a filter.
    """
    tokens = list(_tokens(text))
    if not tokens:
        return lambda _run: True
    test, rest = _either(tokens)
    if rest:
        raise BadQuery(f"filter: unexpected {rest[0]!r}")
    return test


def read_order(text: str) -> Callable[[list[Dto]], list[Dto]]:
    """Compile a sort order, such as `StartTimeUtc desc`.

    Raises:
        BadQuery: The text is not a sort order.
    """
    name, _, direction = text.strip().partition(" ")
    if name not in _FIELDS or direction.strip() not in {"", "asc", "desc"}:
        raise BadQuery(f"orderby: expected a field and asc or desc, but got {text!r}")
    key = _FIELDS[name]

    def sort(runs: list[Dto]) -> list[Dto]:
        return sorted(runs, key=lambda run: run[key] or "", reverse=direction.strip() == "desc")

    return sort


def search(body: bytes, runs: list[Dto]) -> dict[str, Any]:
    """Return one page of the result of a query.

    Args:
        body: The body of the request.
        runs: The runs, in the format of run history.

    Raises:
        BadQuery: The query cannot be read.
    """
    try:
        query = json.loads(body or b"{}")
        keys = {"filter", "orderby", "top", "continuationToken"}
        if not isinstance(query, dict) or set(query) - keys:
            raise BadQuery(
                f"the query must be an object with no other keys than {', '.join(sorted(keys))}"
            )
        top = MAX_TOP if query.get("top") is None else int(query["top"])
        start = int(query.get("continuationToken") or 0)
    except (ValueError, TypeError) as error:
        raise BadQuery(f"the query cannot be read: {error}") from error
    if not 1 <= top <= MAX_TOP:
        raise BadQuery(f"top must be between 1 and {MAX_TOP}")
    test = read_filter(query.get("filter") or "")
    found = [run for run in runs if test(run)]
    if query.get("orderby"):
        found = read_order(query["orderby"])(found)
    more = len(found) > start + top
    return {
        "value": found[start : start + top],
        "continuationToken": str(start + top) if more else None,
    }


def _tokens(text: str) -> Iterator[str]:
    position = 0
    while position < len(text.rstrip()):
        found = _TOKEN.match(text, position)
        if found is None:
            raise BadQuery(f"filter: cannot be read from character {position + 1} on")
        position = found.end()
        yield found.group("sign") or found.group("text") or found.group("word")


def _either(tokens: list[str]) -> tuple[Test, list[str]]:
    first, tokens = _both(tokens)
    while tokens[:1] == ["or"]:
        second, tokens = _both(tokens[1:])
        first = _join(first, second, any)
    return first, tokens


def _both(tokens: list[str]) -> tuple[Test, list[str]]:
    first, tokens = _one(tokens)
    while tokens[:1] == ["and"]:
        second, tokens = _one(tokens[1:])
        first = _join(first, second, all)
    return first, tokens


def _join(first: Test, second: Test, how: Callable[[tuple[bool, bool]], bool]) -> Test:
    return lambda run: how((first(run), second(run)))


def _one(tokens: list[str]) -> tuple[Test, list[str]]:
    if tokens[:1] == ["("]:
        test, rest = _either(tokens[1:])
        if rest[:1] != [")"]:
            raise BadQuery("filter: a bracket is not closed")
        return test, rest[1:]
    if len(tokens) < 3 or tokens[1] not in _COMPARE:  # name, operator, value
        raise BadQuery(f"filter: a comparison is expected at {' '.join(tokens[:3])!r}")
    read, compare, value = _reader(tokens[0]), _COMPARE[tokens[1]], tokens[2]
    wanted = None if value == "null" else value.strip('"')
    return lambda run: compare(read(run), wanted), tokens[3:]


def _reader(name: str) -> Callable[[Dto], str | None]:
    kind, slash, key = name.partition("/")
    if slash and key and kind in {"Tags", "Properties"}:
        return lambda run: run[kind.lower()].get(key)
    if name not in _FIELDS:
        raise BadQuery(f"filter: there is no field {name!r}")
    return lambda run: run[_FIELDS[name]]
