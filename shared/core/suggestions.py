"""Suggests the known name that is closest to an unknown one, for messages about typing errors."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean x?)` with the known name closest to `name`, or an empty text.

    The text starts with a space, so that a message can append it to the name.
    """
    # Imported here, because only messages about errors need it and a cold start should not pay for it.
    from difflib import get_close_matches

    matches = get_close_matches(name, list(known), n=1)
    return f" (did you mean {matches[0]}?)" if matches else ""
