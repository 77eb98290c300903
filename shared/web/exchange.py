"""A request and its reply, free of the host's types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """An HTTP request that the host has decoded."""

    url: str
    """The absolute URL that the caller used."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers by lower-case name."""
    query: Mapping[str, str] = field(default_factory=dict)
    """Query parameters by name. The host keeps one value of a repeated name."""
    body: bytes = b""
    """The raw body."""
    params: Mapping[str, str] = field(default_factory=dict)
    """The route's path parameters, decoded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP reply that the host encodes."""

    status: int
    """The HTTP status."""
    content: Mapping[str, Any]
    """The body as a JSON object."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers other than `Content-Type`."""
    media_type: str = "application/json"
    """`application/json` or `application/problem+json`."""

    @property
    def body(self) -> str:
        """The content as JSON text."""
        return json.dumps(self.content, ensure_ascii=False)
