"""The names that a template may use. They depend on what the trigger starts from."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from shared.core.events import Source
from shared.core.suggestions import did_you_mean

ANY = "*"
"""Stands for any name at its position. The caller, or the author of the blob, chooses it."""

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
"""The names that the templates of a trigger may use, by its source."""

RESERVED_BODY_NAMES = frozenset({"parameters", "data_paths", "experiment"})
"""Keys of a request's body that the app itself reads."""

KEY_QUERY_NAMES = frozenset({"code", "clientid"})
"""Query parameters that carry a function key, in lower case (Functions host, KeyAuthentication)."""

_TRIGGER_OF = {
    Source.SCHEDULE: "a schedule trigger",
    Source.BLOB: "a blob trigger",
    Source.HTTP: "an http trigger",
}


def check_names(names: Collection[Sequence[str]], source: Source | None) -> None:
    """Check the dotted names of one text.

    Args:
        names: The names, each as its parts (`("http", "body", "day")`).
        source: What the trigger starts from. None stands for any source: one of them must have all names.

    Raises:
        ValueError: A name is not allowed. The message is one sentence with the names that are.
    """
    for parts in names:
        _check_name(parts, source)
    if source is None:
        dotted = [".".join(parts) for parts in names]
        if not any(all(_has(one, name) for name in dotted) for one in Source):
            raise ValueError(
                f"no trigger has all of {_list(dotted)}; use the names of one source in one text"
            )


def _check_name(parts: Sequence[str], source: Source | None) -> None:
    name = ".".join(parts)
    allowed = NAMES[source] if source else tuple(dict.fromkeys(_all_names()))
    if any(_covers(one, name) for one in allowed):
        _check_reserved(parts, name)
        return
    fields = [one for one in allowed if one.startswith(f"{name}.")]
    if fields:
        raise ValueError(f"{name} is not a value; use one of its fields: {_list(fields)}")
    who = _TRIGGER_OF[source] if source else "a trigger"
    if any(_covers(one, name) for one in _all_names()):
        raise ValueError(f"{name} does not exist for {who}; it has {_list(allowed)}")
    hint = did_you_mean(name, [one for one in allowed if ANY not in one])
    raise ValueError(f"{name} is not known{hint}; {who} has {_list(allowed)}")


def _check_reserved(parts: Sequence[str], name: str) -> None:
    """Refuse names that only the app itself may read."""
    if parts[:2] == ("http", "query") and parts[2].lower() in KEY_QUERY_NAMES:
        raise ValueError(
            f"{name} carries a function key, which never reaches a template; "
            "give the query parameter another name"
        )
    if parts[:2] == ("http", "body") and parts[2] in RESERVED_BODY_NAMES:
        raise ValueError(
            f"{name} is a key of the request that the app itself reads; give the key another name"
        )


def _has(source: Source, name: str) -> bool:
    return any(_covers(one, name) for one in NAMES[source])


def _covers(allowed: str, name: str) -> bool:
    """Return whether an allowed name is the name, or covers it with `*`. Only `http.body` may be nested."""
    if not allowed.endswith(ANY):
        return allowed == name
    open_part = allowed.removesuffix(ANY)
    below = name.removeprefix(open_part)
    if not name.startswith(open_part) or not below:
        return False
    return allowed.startswith("http.body.") or "." not in below


def _all_names() -> list[str]:
    return [name for names in NAMES.values() for name in names]


def _list(names: Collection[str]) -> str:
    return ", ".join(names)
