"""The OpenAPI document: what the functions are bound to, and what the app does when anything is sent to it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode
from schemathesis.config import SchemathesisConfig
from werkzeug.test import Client

from local.host.routes import AuthLevel, Keys, read_routes
from local.host.wsgi import WsgiApp
from local.testing.app import HEAD, Bench, bench
from shared.core.events import HttpEvent
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import Submission
from shared.operations.submissions import start
from shared.web.api.openapi import ROUTES, RouteEntry, document

pytestmark = pytest.mark.large

ROOT = Path(__file__).resolve().parents[2]
TRIGGERS = """\
  on-demand:
    pipeline: scoring
    http: {}
    parameters: {day: "{{ http.body.day | default('any') }}"}
  nightly: {pipeline: scoring, schedule: {frequency: day}}
  new-data: {pipeline: scoring, blob: {datastore: lake, path: incoming}}
"""
KEY = "the-default-key"


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Give an app that has seen something: submissions in several states."""
    file = tmp_path_factory.mktemp("app") / "triggers.yaml"
    file.write_text(HEAD + TRIGGERS)
    made = bench(file)
    made.workspace.outcomes = [
        Outcome(kind=OutcomeKind.REFUSED, message="no", code="UserError", request_id="1"),
        Outcome(kind=OutcomeKind.UNKNOWN, message="lost", request_id="2"),
    ]
    for number in range(4):
        event = HttpEvent(trigger="on-demand", time=made.clock.now(), key=("key", str(number)))
        assert isinstance(start(made.app.services, event), Submission)
    made.blobs.put("incoming/a.csv", made.clock)
    made.app.tick()
    return made


@pytest.fixture(scope="module")
def wsgi(app: Bench) -> WsgiApp:
    """Give its HTTP functions behind the local host's router, which wants a key."""
    return WsgiApp(app.app, keys=Keys(values={"default": KEY}))


@pytest.fixture(scope="module")
def api(app: Bench, wsgi: WsgiApp) -> Any:
    """Give the document with examples of what there is."""
    content = json.loads(json.dumps(document()))
    ids = [one.id for one in app.submissions()]
    for path in content["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "id":
                    parameter.pop("example")
                    parameter["examples"] = {one: {"value": one} for one in ids}
            # A cursor is opaque: no schema tells one from garbage, which is 400 (test_operations.py).
            operation["parameters"] = [
                one for one in operation.get("parameters", []) if one["name"] != "cursor"
            ]
    schema = schemathesis.openapi.from_dict(content, config=CONFIG)
    schema.app = wsgi
    return schema


# What is left out, and why:
# - unsupported_method wants 405; the Functions host answers 404 for a path with another method, and so does ours.
# - positive_data_acceptance cannot hold for `submit` and `preview`: which names a trigger takes is for the triggers
#   file to say, not for the document; what they refuse is in test_http_api.py.
# - not_a_server_error lets 502 pass where it is what became of a dead submission.
CONFIG = SchemathesisConfig.from_dict(
    {
        "checks": {"unsupported_method": {"enabled": False}},
        "operations": [
            {
                "include-operation-id": ["submit", "preview"],
                "checks": {"positive_data_acceptance": {"enabled": False}},
            },
            {
                "include-operation-id": ["get_result", "status"],
                "checks": {"not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx", 502]}},
            },
        ],
    }
)


@pytest.mark.parametrize(
    ("entry", "mode"),
    [
        pytest.param(entry, mode, id=f"{entry.function}-{mode.value}")
        for entry in ROUTES
        for mode in GenerationMode
        if entry.function != "health" or mode is GenerationMode.POSITIVE  # it takes nothing
    ],
)
def test_whatever_is_sent_the_answers_match_the_document(
    api: Any, entry: RouteEntry, mode: GenerationMode
) -> None:
    operation = api[f"/api/{entry.path}"][entry.method]

    @seed(1)
    @settings(
        max_examples=25,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def check(case: Any) -> None:
        case.call_and_validate(headers={"x-functions-key": KEY})

    check()


def test_the_document_is_openapi() -> None:
    OpenAPIV31SpecValidator(document()).validate()


def test_routes_bindings_and_document_agree(wsgi: WsgiApp) -> None:
    bound = {
        route.function: (
            route.template,
            route.methods,
            route.level is AuthLevel.FUNCTION,
        )
        for route in read_routes(wsgi.functions.values(), prefix="api")
    }
    told = {
        entry.function: (f"api/{entry.path}", frozenset({entry.method}), entry.key)
        for entry in ROUTES
    }
    assert bound == told
    shown = {
        operation["operationId"]: (
            path.strip("/"),
            frozenset({method.upper()}),
            bool(operation["security"]),
        )
        for path, methods in document()["paths"].items()
        for method, operation in methods.items()
    }
    assert shown == told
    for entry in ROUTES:
        assert entry.route.__name__ == entry.function


def test_no_two_routes_of_one_method_match_the_same_path(wsgi: WsgiApp) -> None:
    routes = read_routes(wsgi.functions.values(), prefix="api")
    for route in routes:
        path = re.sub(r"\{[a-z]+\}", "x", route.template)
        matching = [
            other.function
            for other in routes
            for method in route.methods
            if other.match(method, f"/{path}") is not None
        ]
        assert matching == [route.function]


@pytest.mark.parametrize("entry", ROUTES, ids=lambda entry: entry.function)
def test_without_a_key_only_health_and_status_answer(wsgi: WsgiApp, entry: Any) -> None:
    path = f"/api/{entry.path}".replace("{action}", "drop").replace("{name}", "on-demand")
    path = path.replace("{id}", "0" * 32).replace("{status_token}", "x")
    for headers in ({}, {"x-functions-key": "wrong"}):
        answer = Client(wsgi).open(path, method=entry.method, headers=headers)
        assert (answer.status_code == 401) is entry.key
    assert Client(wsgi).open(f"{path}?code={KEY}", method=entry.method).status_code != 401


def test_no_origin_is_ever_allowed(wsgi: WsgiApp) -> None:
    headers = {"Origin": "https://elsewhere.example", "x-functions-key": KEY}
    for path in ("/api/health", "/api/v1/triggers"):
        answer = Client(wsgi).get(path, headers=headers)
        assert not [name for name, _ in answer.headers if name.lower().startswith("access-")]
    host = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))
    assert "cors" not in json.dumps(host).lower()
