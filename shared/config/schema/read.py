"""Reads one map of the file into its model, and reports each problem in a plain sentence."""

from __future__ import annotations

import copy
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.config.document import KeyPath
from shared.config.problems import Problems
from shared.config.schema.file import BlobEntry, HttpEntry
from shared.config.schema.schedule import ScheduleEntry
from shared.config.schema.values import (
    DATASET_TAG,
    DATASTORE_PATH_TAG,
    DatasetEntry,
    DatastorePathEntry,
    Entry,
)
from shared.core.suggestions import did_you_mean

# The models of inner maps, by the last part of their location in pydantic's errors.
_NESTED: dict[str | int, type[Entry]] = {
    "schedule": ScheduleEntry,
    "blob": BlobEntry,
    "http": HttpEntry,
    DATASTORE_PATH_TAG: DatastorePathEntry,
    DATASET_TAG: DatasetEntry,
}

_MAP_NEEDED = "a map is needed (key: value)"
_NEEDED = {
    "string_type": "text is needed",
    "string_too_short": "it must not be empty",
    "int_type": "a whole number is needed, without quotes",
    "int_from_float": "a whole number is needed",
    "bool_type": "true or false is needed, without quotes",
    "dict_type": _MAP_NEEDED,
    "model_type": _MAP_NEEDED,
    "list_type": "a list is needed, in square brackets",
}
"""What is allowed, by the type of pydantic's error."""


def read_entry[E: Entry](
    model: type[E], data: object, path: KeyPath, problems: Problems
) -> E | None:
    """Read a map of the file.

    Values with problems are reported and left out, so that all others can still be checked. A required value that is
    left out is None in the entry.

    Args:
        model: The model of the map.
        data: The content of the file at the path.
        path: The path of the map.
        problems: Takes the problems.

    Returns:
        The entry, or None if the data is not a map.
    """
    while isinstance(data, dict):
        try:
            return model.model_validate(data)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
        for detail in details:
            _report(model, detail, path, problems)
        # Another round can only find rules between values that are good by themselves.
        data = _without_problems(model, data, details)
    problems.add_found(path, _MAP_NEEDED)
    return None


def _keys(detail: ErrorDetails) -> KeyPath:
    """Return the keys and list positions that lead to an error."""
    # If the third part is text, it is not a key of the file: it is the tag of a value's form, or pydantic's `[key]`.
    return tuple(
        part
        for position, part in enumerate(detail["loc"])
        if position != 2 or isinstance(part, int)
    )


def _holder(model: type[Entry], detail: ErrorDetails) -> type[Entry] | None:
    """Return the model of the map that has the wrong key, or None for a map with free names."""
    above = detail["loc"][:-1]
    return _NESTED.get(above[-1]) if above else model


def _report(model: type[Entry], detail: ErrorDetails, path: KeyPath, problems: Problems) -> None:
    """Report an error of pydantic in our words."""
    where = (*path, *_keys(detail))
    kind, context = detail["type"], detail.get("ctx", {})
    holder = _holder(model, detail)
    if kind == "extra_forbidden" and holder is not None:
        key = str(where[-1])
        allowed = holder.key_names()
        hint = did_you_mean(key, allowed)
        problems.add(
            where,
            f"the key {key} is not known{hint}; allowed are {', '.join(allowed)}",
            at_key=True,
        )
    elif kind == "missing" and holder is not None:
        meaning = holder.model_fields[str(where[-1])].description
        problems.add(where, f"this required key is missing. {meaning}", at_key=True)
    else:
        problems.add(where, _found(kind, context, detail["msg"], shown=problems.shown(where)))


def _found(kind: str, context: dict[str, Any], message: str, *, shown: str) -> str:
    """Return the message about a wrong value: what was found, and what is allowed."""
    if kind == "literal_error":
        allowed = [one.strip("'") for one in context["expected"].replace(" or ", ", ").split(", ")]
        return f"found {shown}{did_you_mean(shown, allowed)}; allowed: {', '.join(allowed)}"
    if kind == "greater_than_equal":
        return f"found {shown}; at least {context['ge']} is allowed"
    if kind == "less_than_equal":
        return f"found {shown}; at most {context['le']} is allowed"
    rule = _NEEDED.get(kind) or str(context.get("error", message))
    if kind == "string_type" and shown not in ("a list", "a map"):
        rule += ", so put it in quotes"
    return f"found {shown}; {rule}"


def _without_problems(
    model: type[Entry], data: dict[str, Any], details: list[ErrorDetails]
) -> dict[str, Any]:
    """Return a copy of a map without the values that have errors."""
    left = copy.deepcopy(data)
    for detail in details:
        keys = _keys(detail)
        holder = _holder(model, detail)
        in_list = next((index for index, key in enumerate(keys) if isinstance(key, int)), None)
        if in_list is not None:
            # A list with a wrong item is left out as a whole: its other items alone would mean something else.
            keys, holder = keys[:in_list], None
        *above, last = (str(key) for key in keys)
        inner: Any = left
        for key in above:
            inner = inner.get(key, {})
        field = holder.model_fields.get(last) if holder is not None else None
        if field is not None and (field.is_required() or field.default is None):
            # None keeps the key, so that the checks between keys still see it.
            inner[last] = None
        else:
            inner.pop(last, None)
    if left == data:
        raise AssertionError(f"nothing is left out for {details}")
    return left
