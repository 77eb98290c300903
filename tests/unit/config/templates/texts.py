"""Events for templates, and templates rendered with them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.config.templates.template import Template
from shared.core.errors import RenderError
from shared.core.events import Source

NOON = datetime(2027, 3, 27, 1, 30, tzinfo=UTC)
BLOB: dict[str, Any] = {
    "trigger": {"name": "new-data"},
    "event": {"time": NOON},
    "blob": {
        "name": "1e5",
        "path": "incoming/a +%41 b.csv",
        "container": "data",
        "url": "https://a.blob.core.windows.net/data/x",
        "etag": "0x8D",
        "size": 12,
        "last_modified": NOON,
        "metadata": {"items": "three", "team": "blue"},
    },
}


def http(body: object = None, query: object = None) -> dict[str, Any]:
    """Return the names of an HTTP event."""
    return {
        "trigger": {"name": "on-demand"},
        "event": {"time": NOON},
        "http": {"body": body or {}, "query": query or {}},
    }


def rendered(text: str, names: dict[str, Any]) -> str | int | float | bool:
    """Return the value of a text with the names of an event."""
    source = Source.BLOB if "blob" in names else Source.HTTP
    return Template.parse(text, source=source).render(names, where="parameters.p")


def refusal(text: str, source: Source = Source.HTTP) -> str:
    """Return the reason why a text is not a template for a source."""
    with pytest.raises(ValueError) as caught:
        Template.parse(text, source=source)
    return str(caught.value)


def failure(text: str, names: dict[str, Any]) -> str:
    """Return the reason why a text has no value for an event."""
    with pytest.raises(RenderError) as caught:
        rendered(text, names)
    return str(caught.value)
