"""Texts with expressions that the values of an event fill in: `{{ blob.path }}`. Jinja2's sandbox evaluates them.

Only `{{ }}` is allowed: no statements, comments or calls. When the file is loaded, every name is checked against the
source of the trigger. A name is looked up as an item of a mapping, never as a Python attribute: `blob.metadata.items`
is the metadata key `items`.

A text is parsed when the file is loaded, and compiled when it is first rendered. Texts without braces, and texts with
plain names only, are loaded without importing Jinja2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shared.config.templates.names import check_names
from shared.core.errors import MissingValue, RenderError
from shared.core.events import Source

_OPENERS = ("{{", "{%", "{#")
# `{{ blob.path }}` and nothing else. It must not follow a third brace, which Jinja2 reads as a dictionary.
_PLAIN = re.compile(r"(?<!\{)\{\{\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*\}\}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A text, with or without `{{ }}`."""

    text: str
    """The text of the file."""
    names: frozenset[str] = frozenset()
    """The dotted names that the text uses, such as `http.body.day`."""

    @classmethod
    def parse(cls, text: str, *, source: Source | None) -> Template:
        """Read a text and check every name in it.

        Args:
            text: The text.
            source: What the trigger starts from. It decides which names exist. None stands for any source.

        Raises:
            ValueError: The text is not a template, or uses a name that the source does not have. The message is one
                sentence.
        """
        return cls(text=text, names=_names(text, source) if _has_braces(text) else frozenset())

    @property
    def is_literal(self) -> bool:
        """Whether the text has nothing to fill in."""
        return not _has_braces(self.text)

    def render(self, names: Mapping[str, Any], *, where: str) -> str | int | float | bool:
        """Fill the text in. If the text is exactly one `{{ expression }}`, keep the type of its value.

        Args:
            names: The values of the event: `event.names()`, `trigger` and `event`.
            where: The value's name (`parameters.input_string`), for errors.

        Raises:
            MissingValue: The event does not have a name that the text uses.
            RenderError: The expression fails, or its value is empty, a list or a map.
        """
        if self.is_literal:
            return self.text
        # Imported here, so that a cold start does not pay for Jinja2.
        from shared.config.templates.engine import MissingName, as_scalar, evaluate

        try:
            return as_scalar(evaluate(self.text, names))
        except MissingName as error:
            raise MissingValue(where, error.dotted(self.names, names)) from None
        except Exception as error:
            raise RenderError(where, _cause(error)) from error

    def render_text(self, names: Mapping[str, Any], *, where: str) -> str:
        """Fill the text in, and return text whatever the type of the value. See `render`.

        Raises:
            MissingValue: The event does not have a name that the text uses.
            RenderError: The expression fails, or its value is empty, a list or a map.
        """
        return str(self.render(names, where=where))


def _has_braces(text: str) -> bool:
    return any(opener in text for opener in _OPENERS)


# Cached, because the defaults of one pipeline serve many triggers.
@lru_cache(maxsize=8192)
def _names(text: str, source: Source | None) -> frozenset[str]:
    """Return the dotted names of a text, after a check."""
    plain = _PLAIN.findall(text)
    if plain and not _has_braces(_PLAIN.sub("", text)):
        names = [tuple(name.split(".")) for name in plain]
    else:
        from shared.config.templates.syntax import find_names

        names = sorted(find_names(text))
    check_names(names, source)
    return frozenset(".".join(name) for name in names)


def _cause(error: Exception) -> str:
    """Return the reason of a failure in one line."""
    text = str(error).strip() or type(error).__name__
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"
