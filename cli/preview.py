"""`dev.py preview`: show the runs that a blob, a time or a request would start."""

from __future__ import annotations

import json
from typing import Any

import click

from cli.common import AS_JSON, clear_errors, open_services, print_json, print_table
from shared.operations.preview import preview as preview_triggers
from shared.operations.triggers import get_trigger
from shared.web.api.models import PreviewBody, PreviewView
from shared.web.api.previews import check_preview, subject_for
from shared.web.api.requests import read_body
from shared.web.api.views import view_preview
from shared.web.strict_json import read_json


@click.command()
@click.option("--blob", help="The blob's full name in its container.")
@click.option("--container", help="The blob's container. Default: the container of each trigger.")
@click.option("--time", help="The instant of an occurrence, such as 2027-03-27T01:30:00Z.")
@click.option("--request", help="The JSON body of an HTTP call.")
@click.option("--trigger", help="Only this trigger.")
@AS_JSON
def preview(
    blob: str | None,
    container: str | None,
    time: str | None,
    request: str | None,
    trigger: str | None,
    as_json: bool,
) -> None:
    """Show the runs that a blob, a time or a request would start, or the first condition that fails.

    The command claims, records and sends nothing. It uses the same settings as `submissions`.
    """
    with clear_errors():
        asked: dict[str, Any] = {"time": time}
        if blob is not None:
            asked["blob"] = {"path": blob, "container": container}
        if request is not None:
            asked["request"] = {"body": read_json(request.encode())}
        body = read_body(PreviewBody, asked)
        check_preview(body)
        services = open_services()
        names = [trigger] if trigger else services.config.triggers
        now = services.clock()
        found = preview_triggers(
            services,
            [
                (one, subject_for(services.config, one, body, now=now))
                for one in (get_trigger(services, name) for name in names)
            ],
        )
    views = [view_preview(one) for one in found]
    if as_json:
        print_json([view.model_dump(mode="json") for view in views])
        return
    print_table(
        f"{sum(view.starts for view in views)} runs",
        ("trigger", "starts", "body or failed condition"),
        ((view.trigger, "yes" if view.starts else "no", _details(view)) for view in views),
    )


def _details(view: PreviewView) -> str:
    """Return the body that would be sent, or the first condition that fails."""
    if view.failed:
        return f"{view.failed.condition} = {view.failed.value}: {view.failed.reason}"
    return json.dumps(view.body, ensure_ascii=False)
