"""Which names a template may use: it depends on what the trigger starts from."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

from shared.core.events import Source

ANY = "*"
"""Stands for any name below: the caller, or the blob's author, chooses it."""

_EVERYWHERE: tuple[str, ...] = ("trigger.name", "event.time")

NAMES: dict[Source, tuple[str, ...]] = {
    Source.SCHEDULE: (
        *_EVERYWHERE,
        "schedule.time",
        "schedule.local_time",
        "schedule.window_start",
        "schedule.window_end",
    ),
    Source.BLOB: (
        *_EVERYWHERE,
        "blob.name",
        "blob.path",
        "blob.container",
        "blob.url",
        "blob.etag",
        "blob.size",
        "blob.last_modified",
        f"blob.metadata.{ANY}",
    ),
    Source.HTTP: (*_EVERYWHERE, f"http.body.{ANY}", f"http.query.{ANY}"),
}
"""The names that a trigger's templates may use, by its source."""

RESERVED_BODY_NAMES = frozenset({"parameters", "data_paths", "experiment"})
"""Keys of a request's body that have a meaning of their own."""

KEY_QUERY_NAMES = frozenset({"code", "clientId"})
"""Query parameters that carry a function key and the key's name (Functions host, KeyAuthentication)."""

# The host compares them without letter case, and so does the check of templates.
_LOWER_KEY_QUERY_NAMES = frozenset(name.lower() for name in KEY_QUERY_NAMES)


_A = {Source.SCHEDULE: "a schedule", Source.BLOB: "a blob", Source.HTTP: "an http"}


def _covers(allowed: str, name: str) -> bool:
    """Whether an allowed name is the name, or an open one above it; only a body is nested."""
    if not allowed.endswith(ANY):
        return allowed == name
    open_part = allowed.removesuffix(ANY)
    below = name.removeprefix(open_part)
    if not name.startswith(open_part) or not below:
        return False
    return allowed.startswith("http.body.") or "." not in below


def check_name(parts: Sequence[str], source: Source) -> None:
    """Check one dotted name against what a source has.

    Args:
        parts: The name's parts (`("http", "body", "day")`).
        source: What the trigger starts from.

    Raises:
        ValueError: A trigger of that source does not have it; one sentence that says what it has.
    """
    name = ".".join(parts)
    allowed = NAMES[source]
    if any(_covers(one, name) for one in allowed):
        _check_key(parts, name)
        return
    if any(one.startswith(f"{name}.") for one in allowed):
        fields = [one for one in allowed if one.startswith(f"{name}.")]
        raise ValueError(f"{name} is not a value; name a field: {_list(fields)}")
    if any(_covers(one, name) for names in NAMES.values() for one in names):
        raise ValueError(f"{name} does not exist for {_A[source]} trigger; it has {_list(allowed)}")
    near = difflib.get_close_matches(name, [one for one in allowed if ANY not in one], n=1)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise ValueError(f"{name} is not known{hint}; {_A[source]} trigger has {_list(allowed)}")


def _check_key(parts: Sequence[str], name: str) -> None:
    """Refuse names that are open but taken."""
    if parts[:2] == ("http", "query") and parts[2].lower() in _LOWER_KEY_QUERY_NAMES:
        raise ValueError(
            f"{name} carries a function key, which never reaches a template; "
            "give the query parameter another name"
        )
    if parts[:2] == ("http", "body") and parts[2] in RESERVED_BODY_NAMES:
        raise ValueError(f"{name} has a meaning of its own in a request; give the key another name")


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
