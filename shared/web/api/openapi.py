"""The route of the OpenAPI document, which describes every route with JSON replies."""

from __future__ import annotations

import functools
from typing import Any

from shared.web.api import routes  # noqa: F401 — importing the module declares its routes
from shared.web.callers import EVERY_ROLE
from shared.web.exchange import Reply
from shared.web.registry import ROUTES, RouteCall, RouteEntry, route


@route(
    "openapi",
    "GET",
    "v1/openapi.json",
    roles=EVERY_ROLE,
    answers={200: None},
    problems=(400,),
)
def openapi(call: RouteCall) -> Reply:  # noqa: ARG001 — the signature of every handler
    """Show the OpenAPI 3.1 document of this API."""
    return Reply(status=200, content=document())


def described_routes() -> tuple[RouteEntry, ...]:
    """Return the routes that the document describes: those with JSON replies."""
    return tuple(entry for entry in ROUTES if entry.answers)


@functools.cache
def document() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document, which the first call builds."""
    # Imported here, because few instances are ever asked for it and a cold start should not pay for it.
    from shared.web.api.document import build_document

    return build_document(described_routes())
