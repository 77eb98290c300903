"""A request and its reply, free of the host's types. Header names are lower-case."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the host decoded.

    Attributes:
        url: The whole address, as the caller wrote it.
        headers: By lower-case name.
        query: The query's values; of a repeated name, the host keeps one.
        body: The raw body.
        params: The route's parameters, decoded.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What the host encodes.

    Attributes:
        status: The HTTP status.
        content: A JSON object.
        headers: Besides `Content-Type`.
        media_type: `application/json` or `application/problem+json`.
    """

    status: int
    content: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)
    media_type: str = "application/json"

    @property
    def body(self) -> str:
        """The content as JSON text."""
        return json.dumps(self.content, ensure_ascii=False)
