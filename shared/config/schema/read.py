"""Reads one mapping of the file into its model, and says in plain sentences what is wrong with it."""

from __future__ import annotations

import copy
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.config.document import Path
from shared.config.problems import Problems, nearest
from shared.config.schema.file import BlobEntry, HttpEntry
from shared.config.schema.schedule import ScheduleEntry
from shared.config.schema.values import (
    DATASET_TAG,
    PLACE_TAG,
    TEXT_TAG,
    DatasetEntry,
    Entry,
    PlaceEntry,
)

# What pydantic's locations call a mapping, besides the keys that lead to it.
_NESTED: dict[str | int, type[Entry]] = {
    "schedule": ScheduleEntry,
    "blob": BlobEntry,
    "http": HttpEntry,
    PLACE_TAG: PlaceEntry,
    DATASET_TAG: DatasetEntry,
}
_NO_KEYS = frozenset({PLACE_TAG, DATASET_TAG, TEXT_TAG, "[key]"})

_NEEDED = {
    "string_type": "text is needed",
    "string_too_short": "it may not be empty",
    "int_type": "a whole number is needed, without quotes",
    "int_from_float": "a whole number is needed",
    "bool_type": "true or false is needed, without quotes",
    "dict_type": "a map is needed (key: value)",
    "model_type": "a map is needed (key: value)",
    "list_type": "a list is needed, in square brackets",
}
"""What is allowed, by pydantic's type of error."""


def read_entry[E: Entry](model: type[E], data: object, path: Path, problems: Problems) -> E | None:
    """Read a mapping.

    What is wrong is reported and left out (a required value is replaced by its example), so that
    all the rest can still be checked.

    Args:
        model: The mapping's model.
        data: What the file holds.
        path: Where it stands.
        problems: Takes the mistakes.

    Returns:
        The mapping, or None when it is none.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    for detail in details:
        _report(model, detail, path, problems)
    if not isinstance(data, dict):
        return None
    repaired = _repaired(model, data, details, whole_keys=False)
    try:
        return model.model_validate(repaired)
    except ValidationError as error:
        # What is left of an inner mapping does not do, so it goes as a whole.
        details = error.errors(include_url=False, include_input=False)
    return model.model_validate(_repaired(model, repaired, details, whole_keys=True))


def _keys(detail: ErrorDetails) -> Path:
    return tuple(part for part in detail["loc"] if part not in _NO_KEYS)


def _holder(model: type[Entry], detail: ErrorDetails) -> type[Entry] | None:
    """Return the model of the mapping that holds the wrong key; None for a map with free names."""
    above = detail["loc"][:-1]
    return _NESTED.get(above[-1]) if above else model


def _report(model: type[Entry], detail: ErrorDetails, path: Path, problems: Problems) -> None:
    """Report one of pydantic's errors in our words."""
    where = (*path, *_keys(detail))
    kind, context = detail["type"], detail.get("ctx", {})
    holder = _holder(model, detail)
    found = problems.found(where)
    if kind == "extra_forbidden" and holder is not None:
        key = str(where[-1])
        allowed = holder.key_names()
        problems.add(
            where,
            f"the key {key} is not known{nearest(key, allowed)}; allowed are {', '.join(allowed)}",
            at_key=True,
        )
    elif kind == "missing" and holder is not None:
        meaning = holder.model_fields[str(where[-1])].description
        problems.add(where, f"this key is missing and needed. {meaning}", at_key=True)
    elif kind == "literal_error":
        allowed = [one.strip("'") for one in context["expected"].replace(" or ", ", ").split(", ")]
        problems.add(
            where, f"found {found}{nearest(found, allowed)}; allowed: {', '.join(allowed)}"
        )
    elif kind in ("greater_than_equal", "less_than_equal"):
        least = kind == "greater_than_equal"
        bound = context["ge"] if least else context["le"]
        problems.add(where, f"found {found}; at {'least' if least else 'most'} {bound} is allowed")
    else:
        rule = _NEEDED.get(kind) or (str(context["error"]) if "error" in context else detail["msg"])
        if kind == "string_type" and found not in ("a list", "a map"):
            rule += ", so put it in quotes"
        problems.add(where, f"found {found}; {rule}")


def _repaired(
    model: type[Entry], data: dict[str, Any], details: list[ErrorDetails], *, whole_keys: bool
) -> dict[str, Any]:
    """Return the mapping without what is wrong in it, or without whole keys of its own."""
    fixed = copy.deepcopy(data)
    for detail in details:
        keys, holder = _keys(detail), _holder(model, detail)
        # Of a list with a wrong item nothing is kept.
        end = next((place for place, key in enumerate(keys) if isinstance(key, int)), len(keys))
        if whole_keys:
            end, holder = 1, model
        elif end < len(keys):
            holder = None
        *above, last = (str(key) for key in keys[:end])
        place: Any = fixed
        for key in above:
            place = place.get(key, {})
        field = holder.model_fields.get(last) if holder is not None else None
        if field is not None and field.is_required() and field.examples:
            place[last] = field.examples[0]
        else:
            place.pop(last, None)
    return fixed
