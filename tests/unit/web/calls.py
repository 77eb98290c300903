"""Calls of the routes without a host, and the triggers that the tests of `web` share."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from local.testing.app import Bench
from shared.core.outcomes import Outcome, OutcomeKind
from shared.web.api import routes
from shared.web.exchange import Reply, Request
from shared.web.registry import RouteEntry

type MakeBench = Callable[..., Bench]


HTTP_TRIGGERS = """
on-demand:
  pipeline: scoring
  http: {}
  parameters: {day: "{{ http.body.day | default('any') }}", level: "1"}
  data_paths: {input: {datastore: lake, path: default.csv}}
  tags: {ticket: "{{ http.query.ticket | default('none') }}"}
free:
  pipeline: scoring
  http: {allow_experiment: true}
nightly:
  pipeline: scoring
  schedule: {frequency: day}
"""


URL = "https://app.azurewebsites.net/api/v1/triggers/on-demand/submissions?code=SECRET"


def post(
    bench: Bench,
    body: Any = None,
    *,
    name: str = "on-demand",
    raw: bytes | None = None,
    **extra: Any,
) -> Reply:
    data = raw if raw is not None else json.dumps({} if body is None else body).encode()
    request = Request(url=URL, body=data, params={"name": name}, **extra)
    return routes.submit(bench.app.api, request)


def get(route: RouteEntry, bench: Bench, *, headers: Any = None, **params: str) -> Reply:
    return route(bench.app.api, Request(url="https://x/", headers=headers or {}, params=params))


def errors(reply: Reply) -> dict[str, str]:
    assert reply.media_type == "application/problem+json"
    assert reply.content["status"] == reply.status
    return {item["where"]: item["message"] for item in reply.content.get("errors", [])}


def sent(bench: Bench) -> dict[str, Any]:
    (body,) = bench.workspace.bodies
    content: dict[str, Any] = json.loads(body)
    return content


SOURCES = """
on-demand: {pipeline: scoring, http: {}, parameters: {day: "{{ http.body.day | default('any') }}"}}
strict: {pipeline: scoring, http: {}, parameters: {part: "{{ http.body.day.part }}"}}
nightly: {pipeline: scoring, schedule: {frequency: day}}
new-data: {pipeline: scoring, blob: {datastore: lake, path: incoming, include: ["*.csv"]}}
"""


REFUSED = Outcome(
    kind=OutcomeKind.REFUSED, message="no such pipeline", code="NotFound", service_request_id="s-1"
)


def send(route: RouteEntry, bench: Bench, body: Any = None, **params: str) -> Reply:
    data = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    return route(bench.app.api, Request(url="https://x/", body=data, params=params))


def listed(bench: Bench, **query: str) -> Reply:
    return routes.list_submissions(bench.app.api, Request(url="https://x/", query=query))


def principal(*roles: str, name: str = "ada@example.org") -> dict[str, str]:
    claims = [{"typ": "roles", "val": role} for role in roles]
    claims.append({"typ": "preferred_username", "val": name})
    content = {"auth_typ": "aad", "name_typ": "name", "role_typ": "roles", "claims": claims}
    return {"x-ms-client-principal": base64.b64encode(json.dumps(content).encode()).decode()}
