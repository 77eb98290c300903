"""One function for each route, so that each has its own key and its own metrics."""

import azure.functions as func

from shared.app import load
from shared.web.api import routes
from shared.web.exchange import Request

blueprint = func.Blueprint()
app = load()
KEY = func.AuthLevel.FUNCTION
NO_KEY = func.AuthLevel.ANONYMOUS


@blueprint.function_name("submit")
@blueprint.route("v1/triggers/{name}/submissions", methods=["POST"], auth_level=KEY)
def submit(req: func.HttpRequest) -> func.HttpResponse:
    """Start a trigger."""
    return answer(routes.submit, req)


@blueprint.function_name("list_triggers")
@blueprint.route("v1/triggers", methods=["GET"], auth_level=KEY)
def list_triggers(req: func.HttpRequest) -> func.HttpResponse:
    """List the triggers."""
    return answer(routes.list_triggers, req)


@blueprint.function_name("get_trigger")
@blueprint.route("v1/triggers/{name}", methods=["GET"], auth_level=KEY)
def get_trigger(req: func.HttpRequest) -> func.HttpResponse:
    """Show a trigger."""
    return answer(routes.get_trigger, req)


@blueprint.function_name("set_trigger")
@blueprint.route("v1/triggers/{name}", methods=["PATCH"], auth_level=KEY)
def set_trigger(req: func.HttpRequest) -> func.HttpResponse:
    """Enable or disable a trigger."""
    return answer(routes.set_trigger, req)


@blueprint.function_name("list_submissions")
@blueprint.route("v1/submissions", methods=["GET"], auth_level=KEY)
def list_submissions(req: func.HttpRequest) -> func.HttpResponse:
    """List submissions."""
    return answer(routes.list_submissions, req)


@blueprint.function_name("get_submission")
@blueprint.route("v1/submissions/{id}", methods=["GET"], auth_level=KEY)
def get_submission(req: func.HttpRequest) -> func.HttpResponse:
    """Show a submission."""
    return answer(routes.get_submission, req)


@blueprint.function_name("get_result")
@blueprint.route("v1/submissions/{id}/result", methods=["GET"], auth_level=KEY)
def get_result(req: func.HttpRequest) -> func.HttpResponse:
    """Say what became of a submission."""
    return answer(routes.get_result, req)


@blueprint.function_name("act_on_submission")
@blueprint.route("v1/submissions/{id}/{action}", methods=["POST"], auth_level=KEY)
def act_on_submission(req: func.HttpRequest) -> func.HttpResponse:
    """Replay, cancel or drop a submission."""
    return answer(routes.act_on_submission, req)


@blueprint.function_name("preview")
@blueprint.route("v1/preview", methods=["POST"], auth_level=KEY)
def preview(req: func.HttpRequest) -> func.HttpResponse:
    """Say what an event would start."""
    return answer(routes.preview, req)


@blueprint.function_name("openapi")
@blueprint.route("v1/openapi.json", methods=["GET"], auth_level=KEY)
def openapi(req: func.HttpRequest) -> func.HttpResponse:
    """Give the OpenAPI document."""
    return answer(routes.openapi, req)


@blueprint.function_name("status")
@blueprint.route("status/{id}/{status_token}", methods=["GET"], auth_level=NO_KEY)
def status(req: func.HttpRequest) -> func.HttpResponse:
    """Say how a submission stands, to whoever has its address."""
    return answer(routes.status, req)


@blueprint.function_name("health")
@blueprint.route("health", methods=["GET"], auth_level=NO_KEY)
def health(req: func.HttpRequest) -> func.HttpResponse:
    """Say whether the app is well."""
    return answer(routes.health, req)


def answer(route: routes.Route, req: func.HttpRequest) -> func.HttpResponse:
    """Decode the host's request, take the route, and encode its reply."""
    request = Request(
        url=req.url,
        headers={name.lower(): value for name, value in req.headers.items()},
        query=dict(req.params),
        body=req.get_body(),
        params=dict(req.route_params),
    )
    reply = route(app.api, request)
    return func.HttpResponse(
        reply.body,
        status_code=reply.status,
        headers=dict(reply.headers),
        mimetype=reply.media_type,
        charset="utf-8",
    )
