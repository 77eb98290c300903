"""`dev.py openapi`: the document of the HTTP API, and the reference page that is made of it."""

from __future__ import annotations

import json
from typing import Any

import click

from shared.web.api.openapi import MEANINGS, ROUTES, RouteEntry, document
from shared.web.api.routes import ROLES

BASE = "http://127.0.0.1:7071"
"""Where `dev.py up` listens."""

EXAMPLES: dict[str, tuple[str, Any]] = {
    "submit": (
        "/api/v1/triggers/on-demand/submissions",
        {"parameters": {"input_string": "hello"}},
    ),
    "list_triggers": ("/api/v1/triggers", None),
    "get_trigger": ("/api/v1/triggers/every-15-minutes", None),
    "set_trigger": ("/api/v1/triggers/every-15-minutes", {"enabled": None}),
    "list_submissions": ("/api/v1/submissions?state=dead&limit=10", None),
    "get_submission": ("/api/v1/submissions/$ID", None),
    "get_result": ("/api/v1/submissions/$ID/result", None),
    "act_on_submission": ("/api/v1/submissions/$ID/cancel", {}),
    "preview": ("/api/v1/preview", {"blob": {"path": "incoming/a.csv"}}),
    "openapi": ("/api/v1/openapi.json", None),
    "status": ("/api/status/$ID/$STATUS_TOKEN", None),
    "health": ("/api/health", None),
}
"""A request to each route that works against the sample file; `$ID` is a submission's."""


def curl(entry: RouteEntry) -> str:
    """Return the curl line of a route's example."""
    path, body = EXAMPLES[entry.function]
    method = "" if entry.method == "GET" else f" -X {entry.method}"
    data = "" if body is None else f" -d '{json.dumps(body)}'"
    return f'curl -s{method} "{BASE}{path}"{data}'


def http_file_text() -> str:
    """Return the `.http` file: a request to each route, for editors that send them."""
    parts = [
        "# Made by `python3 dev.py generate`; do not edit. With `python3 dev.py up` running, editors send these.\n"
        f"@base = {BASE}\n@key = none-is-needed-on-a-laptop\n"
        "@id = put-the-id-of-a-submission-here\n@status_token = and-the-end-of-its-Location-here\n"
    ]
    for entry in ROUTES:
        path, body = EXAMPLES[entry.function]
        path = path.replace("$ID", "{{id}}").replace("$STATUS_TOKEN", "{{status_token}}")
        request = f"### {_summary(entry)}\n{entry.method} {{{{base}}}}{path}\n"
        if entry.key:
            request += "x-functions-key: {{key}}\n"
        if body is not None:
            request += f"Content-Type: application/json\n\n{json.dumps(body)}\n"
        parts.append(request)
    return "\n".join(parts)


def http_reference_text() -> str:
    """Return the reference page of the HTTP API, as Markdown."""
    parts = [
        "# HTTP API\n\n"
        "<!-- Made by `python3 dev.py generate` from shared/http_api/; do not edit. -->\n\n"
        "All bodies are JSON objects; problems are `application/problem+json` (RFC 9457) with the request's id, and "
        "with\ntrigger and submission where they are known. `GET /api/v1/openapi.json` and `python3 dev.py openapi` "
        "give the\nOpenAPI 3.1 document that this page is made of; [api.http](../api.http) has a request to each "
        "route for editors.\nThe curl lines work against `python3 dev.py up`, which needs no key; in Azure add "
        "`-H 'x-functions-key: …'`. `$ID` is a\nsubmission's id.\n\n"
        "With `API_ROLES=on` and App Service authentication on, a caller needs one of the roles named, too. "
        "Bodies have at most\n48 KiB, pages at most 100 entries; unknown keys and query names are mistakes.\n\n"
        "What became of a submission, as `result` and `status` say it: 200 its run succeeded · 202 not decided yet, or "
        "`held` for\na person · 409 `skipped` · 422 `dead`, its values could not be made from the event · 424 its run "
        "failed or was canceled ·\n502 `dead`, refused by Azure ML or given up. `submit` answers 422 and 502 in the "
        "same cases, also when a key comes again.\n",
        "| route | function | key | does |\n| --- | --- | --- | --- |\n"
        + "".join(
            f"| `{entry.method} /api/{entry.path}` | `{entry.function}` | "
            f"{'function' if entry.key else 'none'} | {_summary(entry)} |\n"
            for entry in ROUTES
        ),
    ]
    parts += [_route(entry) for entry in ROUTES]
    parts.append("## Bodies\n")
    for name, schema in document()["components"]["schemas"].items():
        if "properties" in schema:
            parts.append(_schema(name, schema))
    return "\n".join(parts)


def _operation(entry: RouteEntry) -> dict[str, Any]:
    found: dict[str, Any] = document()["paths"][f"/api/{entry.path}"][entry.method.lower()]
    return found


def _summary(entry: RouteEntry) -> str:
    return str(_operation(entry)["summary"])


def _route(entry: RouteEntry) -> str:
    operation = _operation(entry)
    text = f"## {entry.function}\n\n`{entry.method} /api/{entry.path}`\n\n{operation['summary']}."
    if operation["description"].rstrip(".") != operation["summary"]:
        text += f"\n{operation['description']}"
    text += "\n"
    roles = ROLES[entry.function]
    if roles:
        text += f"\nRoles, where they are on: {', '.join(f'`{role}`' for role in roles)}.\n"
    parameters = operation.get("parameters", [])
    if parameters:
        text += "\n| parameter | in | type | meaning |\n| --- | --- | --- | --- |\n"
        for one in parameters:
            kind = _kind(one["schema"])
            text += f"| `{one['name']}` | {one['in']} | {kind} | {one['description']} |\n"
    if entry.bodies:
        names = " or ".join(f"[{body.__name__}](#{body.__name__.lower()})" for body in entry.bodies)
        text += f"\nBody{'' if entry.needs_body else ', which may be left out'}: {names}.\n"
    text += "\n| status | body | means |\n| --- | --- | --- |\n"
    for status, answer in operation["responses"].items():
        schema = next(iter(answer.get("content", {"": {"schema": {}}}).values()))["schema"]
        text += f"| {status} | {_kind(schema) if schema else ''} | {MEANINGS[int(status)]} |\n"
    return f"{text}\n```sh\n{curl(entry)}\n```\n"


def _schema(name: str, schema: dict[str, Any]) -> str:
    text = f"### {name}\n\n{schema.get('description', '')}\n\n"
    text += "| key | type | meaning |\n| --- | --- | --- |\n"
    required = schema.get("required", [])
    given = name.endswith(("Body", "Subject"))
    for key, value in schema["properties"].items():
        needed = " *required*" if given and key in required else ""
        text += f"| `{key}` | {_kind(value)} | {value.get('description', '')}{needed} |\n"
    return text


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        target = document()["components"]["schemas"][name]
        return f"[{name}](#{name.lower()})" if "properties" in target else _kind(target)
    if "enum" in schema:
        return ", ".join(f"`{one}`" for one in schema["enum"])
    if "const" in schema:
        return f"`{json.dumps(schema['const'])}`"
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {_kind(schema['items'])}"
    if kind == "integer" and "maximum" in schema:
        return f"whole number, {schema['minimum']} to {schema['maximum']}"
    if schema.get("format") == "date-time":
        return "instant"
    return {"string": "text", "object": "object", "integer": "whole number"}.get(kind, str(kind))


@click.command()
def openapi() -> None:
    """Print the OpenAPI 3.1 document of the HTTP API."""
    click.echo(json.dumps(document(), indent=2, ensure_ascii=False))
