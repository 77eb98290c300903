"""Texts that an event fills in: `{{ blob.path }}`, read by Jinja2's sandbox.

Only `{{ }}` exists: no statements, comments or calls. Every name is checked against the trigger's
source when the file is loaded, and looked up as an item of a mapping, never as a Python attribute
(`blob.metadata.items` is the metadata key "items"). A text is parsed when the file is loaded and
compiled when it is first rendered; a text without braces, or with nothing but plain names in them,
is loaded without importing Jinja2 at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from shared.config.templates.names import check_name
from shared.core.errors import MissingValue, RenderError
from shared.core.events import Source

_OPENERS = ("{{", "{%", "{#")
# `{{ blob.path }}` and nothing else; not after a third brace, which Jinja2 would read as a
# dictionary.
_PLAIN = re.compile(r"(?<!\{)\{\{\s*([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)\s*\}\}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A text with `{{ }}` in it, or without.

    Attributes:
        text: As the file wrote it.
        names: The dotted names it uses (`http.body.day`).
    """

    text: str
    names: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str, *, source: Source) -> Template:
        """Read a text and check every name in it.

        Args:
            text: The text.
            source: What the trigger starts from: it decides which names exist.

        Raises:
            ValueError: The text cannot be read, or uses what this source does not have; one
                sentence.
        """
        return cls(text=text, names=_names(text, source) if _has_braces(text) else frozenset())

    @property
    def is_literal(self) -> bool:
        """Whether there is nothing to fill in."""
        return not _has_braces(self.text)

    def render(self, names: Mapping[str, Any], *, where: str) -> str | int | float | bool:
        """Fill the text in; exactly one `{{ expression }}` keeps the expression's type.

        Args:
            names: What the event offers: `event.names()`, `trigger` and `event`.
            where: What the value is for (`parameters.input_string`); errors carry it.

        Raises:
            MissingValue: The event does not have a name that the text uses.
            RenderError: The expression fails, or its value is empty, a list or a map.
        """
        if self.is_literal:
            return self.text
        # Late: the first event that needs a template pays for Jinja2, not every cold start.
        from shared.config.templates.engine import MissingName, as_scalar, evaluate

        try:
            return as_scalar(evaluate(self.text, names))
        except MissingName as error:
            raise MissingValue(where, error.dotted(self.names, names)) from None
        except Exception as error:
            raise RenderError(where, _cause(error)) from error

    def render_text(self, names: Mapping[str, Any], *, where: str) -> str:
        """Fill the text in, as text whatever the expression's type; otherwise as `render`.

        Raises:
            MissingValue: The event does not have a name that the text uses.
            RenderError: The expression fails, or its value is empty, a list or a map.
        """
        return str(self.render(names, where=where))


def _has_braces(text: str) -> bool:
    return any(opener in text for opener in _OPENERS)


@lru_cache(maxsize=8192)
def _names(text: str, source: Source) -> frozenset[str]:
    """Return a text's dotted names; cached, as one pipeline's defaults serve many triggers."""
    plain = _PLAIN.findall(text)
    if plain and not _has_braces(_PLAIN.sub("", text)):
        for name in plain:
            check_name(tuple(name.split(".")), source)
        return frozenset(plain)
    from shared.config.templates.syntax import find_names

    names = find_names(text)
    for name in names:
        check_name(name, source)
    return frozenset(".".join(name) for name in names)


def _cause(error: Exception) -> str:
    """Name what went wrong in one line."""
    text = str(error).strip() or type(error).__name__
    return text if isinstance(error, ValueError) else f"{type(error).__name__}: {text}"
