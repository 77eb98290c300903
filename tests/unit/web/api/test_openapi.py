"""The OpenAPI document: it agrees with the functions' bindings, and the app's replies agree with it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
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
from shared.web.api.openapi import described_routes, document
from shared.web.registry import ROUTES, RouteEntry

pytestmark = pytest.mark.large

ROOT = Path(__file__).resolve().parents[4]
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
    """Give an app with submissions in several states."""
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
    """Give its HTTP functions behind the local host's router, which requires a key."""
    return WsgiApp(app.app, keys=Keys(values={"default": KEY}))


@pytest.fixture(scope="module")
def api(app: Bench, wsgi: WsgiApp) -> Any:
    """Give the document with the ids of submissions that exist as examples."""
    content = json.loads(json.dumps(document()))
    ids = [one.id for one in app.submissions()]
    for path in content["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", []):
                if parameter["name"] == "id":
                    parameter.pop("example")
                    parameter["examples"] = {one: {"value": one} for one in ids}
            # No schema can tell a valid cursor, which is opaque, from an invalid one, which is 400.
            operation["parameters"] = [
                one for one in operation.get("parameters", []) if one["name"] != "cursor"
            ]
    schema = schemathesis.openapi.from_dict(content, config=CONFIG)
    schema.app = wsgi
    return schema


# Checks that are disabled or relaxed, and why:
# - unsupported_method expects 405. The Functions host answers 404 for a path with another method.
# - positive_data_acceptance cannot hold for `submit` and `preview`. The triggers file decides which names a trigger
#   accepts, and the document does not know it. test_requests.py has the requests that they refuse.
# - not_a_server_error accepts 502, which is the status of a dead submission.
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
        for entry in described_routes()
        for mode in GenerationMode
        if entry.function != "health" or mode is GenerationMode.POSITIVE  # it takes nothing
    ],
)
def test_replies_to_any_request_match_the_document(
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


@pytest.mark.parametrize("entry", list(ROUTES), ids=lambda entry: entry.function)
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


def test_a_route_without_models_is_left_out_of_the_document() -> None:
    assert {entry.function for entry in described_routes()} == {
        entry.function for entry in ROUTES if entry.answers
    }
    schemas = document()["components"]["schemas"]
    models = {model for entry in described_routes() for model in entry.answers.values() if model}
    assert {model.__name__ for model in models} < set(schemas)


def test_the_document_is_built_by_the_first_call_and_then_kept() -> None:
    assert document() is document()


def test_a_cold_start_does_not_import_what_builds_the_document() -> None:
    program = "import sys, shared.app; print('shared.web.api.document' in sys.modules)"
    command = [sys.executable, "-c", program]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"


def test_every_parameter_and_every_field_has_a_description() -> None:
    content = document()
    for path in content["paths"].values():
        for operation in path.values():
            assert all(one["description"] for one in operation.get("parameters", []))
    for schema in content["components"]["schemas"].values():
        for name, value in schema.get("properties", {}).items():
            assert value.get("description") or name == "type", (schema["title"], name)


def test_only_submit_has_a_location_and_each_202_has_a_time_to_wait() -> None:
    for path in document()["paths"].values():
        for operation in path.values():
            headers = operation["responses"].get("202", {}).get("headers", {})
            expected = {"Retry-After"} if "202" in operation["responses"] else set()
            if operation["operationId"] == "submit":
                expected.add("Location")
            assert set(headers) == expected
