"""Registers one Azure function for each route, so that each route has its own key and its own metrics."""

import azure.functions as func

from shared.app import load
from shared.web.exchange import Reply, Request
from shared.web.registry import ROUTES, RouteEntry

blueprint = func.Blueprint()
app = load()


def register(entry: RouteEntry) -> None:
    """Register the function of a route."""

    def answer(req: func.HttpRequest) -> func.HttpResponse:
        return encode(entry(app.api, decode(req)))

    # A stack trace and the worker's log show the callable's name.
    answer.__name__ = answer.__qualname__ = entry.function
    level = func.AuthLevel.FUNCTION if entry.key else func.AuthLevel.ANONYMOUS
    bind = blueprint.route(entry.path, methods=[entry.method], auth_level=level)
    blueprint.function_name(entry.function)(bind(answer))


def decode(req: func.HttpRequest) -> Request:
    """Decode the host's request."""
    return Request(
        url=req.url,
        headers={name.lower(): value for name, value in req.headers.items()},
        query=dict(req.params),
        body=req.get_body(),
        params=dict(req.route_params),
    )


def encode(reply: Reply) -> func.HttpResponse:
    """Encode a reply for the host."""
    return func.HttpResponse(
        reply.body,
        status_code=reply.status,
        headers=dict(reply.headers),
        mimetype=reply.media_type,
        charset="utf-8",
    )


for route in ROUTES:
    register(route)
