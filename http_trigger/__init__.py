"""One function for each route, so that each has its own key and its own metrics."""

import azure.functions as func

from shared.app import load
from shared.http_api import routes
from shared.http_api.exchange import Reply, Request

blueprint = func.Blueprint()
app = load()


@blueprint.function_name("submit")
@blueprint.route(
    "v1/triggers/{name}/submissions", methods=["POST"], auth_level=func.AuthLevel.FUNCTION
)
def submit(req: func.HttpRequest) -> func.HttpResponse:
    """Start an HTTP trigger."""
    return encode(routes.submit(app.operations, decode(req), req.route_params["name"]))


@blueprint.function_name("get_submission")
@blueprint.route("v1/submissions/{id}", methods=["GET"], auth_level=func.AuthLevel.FUNCTION)
def get_submission(req: func.HttpRequest) -> func.HttpResponse:
    """Show a submission."""
    return encode(routes.get_submission(app.operations, decode(req), req.route_params["id"]))


@blueprint.function_name("health")
@blueprint.route("health", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def health(req: func.HttpRequest) -> func.HttpResponse:
    """Say whether the ledger answers."""
    return encode(routes.health(app.operations, decode(req)))


def decode(req: func.HttpRequest) -> Request:
    """Take what the routes need from the host's request."""
    headers = {name.lower(): value for name, value in req.headers.items()}
    return Request(url=req.url, headers=headers, query=dict(req.params), body=req.get_body())


def encode(reply: Reply) -> func.HttpResponse:
    """Make the host's response of a reply."""
    return func.HttpResponse(
        reply.body,
        status_code=reply.status,
        headers=dict(reply.headers),
        mimetype=reply.media_type,
        charset="utf-8",
    )
