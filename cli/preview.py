"""`dev.py preview`: what a blob, a time or a request would start."""

from __future__ import annotations

import json
import sys
from typing import Any

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from cli.submissions import clear_errors, open_services, print_json
from shared.operations.preview import preview as preview_triggers
from shared.operations.triggers import get_trigger
from shared.web.api.models import PreviewBody
from shared.web.api.previews import check_preview, subject_for
from shared.web.api.requests import read_body
from shared.web.api.views import view_preview
from shared.web.strict_json import read_json


@click.command()
@click.option("--blob", help="A blob's whole name below its container.")
@click.option("--container", help="Its container; each trigger's own when left out.")
@click.option("--time", help="An instant, such as 2027-03-27T01:30:00Z.")
@click.option("--request", help="The JSON body of a call.")
@click.option("--trigger", help="Only this trigger.")
@click.option("--json", "as_json", is_flag=True, help="Print for machines.")
def preview(
    blob: str | None,
    container: str | None,
    time: str | None,
    request: str | None,
    trigger: str | None,
    as_json: bool,
) -> None:
    """Say what a blob, a time or a request would start, or the first condition that fails.

    Nothing is claimed, recorded or sent. Settings are found as for `submissions`.
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
    table = Table(title=f"{sum(view.starts for view in views)} runs", title_justify="left")
    table.box = SIMPLE_HEAD
    for heading in ("trigger", "starts", "with, or why not"):
        table.add_column(heading, overflow="fold")
    for view in views:
        said = (
            f"{view.failed.condition} = {view.failed.value}: {view.failed.reason}"
            if view.failed
            else json.dumps(view.body, ensure_ascii=False)
        )
        table.add_row(view.trigger, "yes" if view.starts else "no", said)
    Console(file=sys.stdout).print(table)
