"""Run history's query language, as far as Azure ML's SDK uses it, and how a search can mislead."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any


class SearchMode(StrEnum):
    """What a search sees."""

    NORMAL = "normal"
    """Every run, at once."""
    BLIND = "blind"
    """No run at all, though the experiment exists."""
    LAGGING = "lagging"
    """Only runs older than the lag."""
    OTHER_EXPERIMENTS = "other-experiments"
    """Every run but those of the experiment that is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchVisibility:
    """How searches see at present.

    Attributes:
        mode: What they see.
        lag: How late, in `lagging`.
    """

    mode: SearchMode = SearchMode.NORMAL
    lag: timedelta = timedelta(minutes=5)

    def sees(self, *, experiment: str, asked: str, created: datetime, now: datetime) -> bool:
        """Tell whether a search of one experiment sees a run."""
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
    """The query cannot be read; the message says where."""


type Dto = Mapping[str, Any]
type Test = Callable[[Dto], bool]

MAX_TOP = 500
"""The most that one page of a search holds."""

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
    """Compile a filter: `(Tags/key eq "value")` and the like, joined by `and` and `or`.

    Raises:
        BadQuery: Not a filter.
    """
    tokens = list(_tokens(text))
    if not tokens:
        return lambda _run: True
    test, rest = _either(tokens)
    if rest:
        raise BadQuery(f"filter: {rest[0]!r} is not expected")
    return test


def read_order(text: str) -> Callable[[list[Dto]], list[Dto]]:
    """Compile `StartTimeUtc desc` and the like.

    Raises:
        BadQuery: Not an order.
    """
    name, _, direction = text.strip().partition(" ")
    if name not in _FIELDS or direction.strip() not in {"", "asc", "desc"}:
        raise BadQuery(f"orderby: {text!r} is not a field and asc or desc")
    key = _FIELDS[name]

    def sort(runs: list[Dto]) -> list[Dto]:
        return sorted(runs, key=lambda run: run[key] or "", reverse=direction.strip() == "desc")

    return sort


def search(body: bytes, runs: list[Dto]) -> dict[str, Any]:
    """Answer a query over runs as run history shows them: one page.

    Raises:
        BadQuery: It cannot be read.
    """
    try:
        query = json.loads(body or b"{}")
        keys = {"filter", "orderby", "top", "continuationToken"}
        if not isinstance(query, dict) or set(query) - keys:
            raise BadQuery(f"only {', '.join(sorted(keys))} are known")
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
