"""The HTTP entry point: one Azure function for each route, with its own name, key and callable."""

from __future__ import annotations

import importlib
import sys
import typing
from collections.abc import Callable
from types import ModuleType
from typing import Any
from unittest import mock

import azure.functions as func
import pytest

from local.testing.app import Bench

TRIGGERS = "on-demand: {pipeline: scoring, http: {}}"
FUNCTIONS = {
    "submit": ("POST", "v1/triggers/{name}/submissions", "FUNCTION"),
    "list_triggers": ("GET", "v1/triggers", "FUNCTION"),
    "get_trigger": ("GET", "v1/triggers/{name}", "FUNCTION"),
    "set_trigger": ("PATCH", "v1/triggers/{name}", "FUNCTION"),
    "list_submissions": ("GET", "v1/submissions", "FUNCTION"),
    "get_submission": ("GET", "v1/submissions/{id}", "FUNCTION"),
    "get_result": ("GET", "v1/submissions/{id}/result", "FUNCTION"),
    "act_on_submission": ("POST", "v1/submissions/{id}/{action}", "FUNCTION"),
    "preview": ("POST", "v1/preview", "FUNCTION"),
    "openapi": ("GET", "v1/openapi.json", "FUNCTION"),
    "status": ("GET", "status/{id}/{status_token}", "ANONYMOUS"),
    "health": ("GET", "health", "ANONYMOUS"),
}
"""Method, route and auth level of each function. Callers, keys and dashboards depend on them."""


@pytest.fixture
def entry_point(make_bench: Callable[..., Bench]) -> ModuleType:
    """Give the module, imported for an app between doubles."""
    app = make_bench(TRIGGERS).app
    with mock.patch("shared.app.load", return_value=app), mock.patch.dict(sys.modules):
        sys.modules.pop("http_trigger", None)
        return importlib.import_module("http_trigger")


@pytest.fixture
def functions(entry_point: ModuleType) -> dict[str, Any]:
    """Give the registered functions by name."""
    app = func.FunctionApp()
    app.register_functions(entry_point.blueprint)
    return {str(one.get_function_name()): one for one in app.get_functions()}


def test_each_route_is_a_function_of_its_own(functions: dict[str, Any]) -> None:
    found = {}
    for name, function in functions.items():
        (trigger,) = [one for one in function.get_bindings() if one.type == "httpTrigger"]
        (method,) = trigger.methods
        found[name] = (method.value, trigger.route, trigger.auth_level.name)
    assert found == FUNCTIONS


def test_each_function_has_a_callable_that_the_worker_can_index(functions: dict[str, Any]) -> None:
    for name, function in functions.items():
        called = function.get_user_function()
        assert called.__name__ == called.__qualname__ == name
        assert typing.get_type_hints(called) == {
            "req": func.HttpRequest,
            "return": func.HttpResponse,
        }


def test_a_request_is_decoded_and_a_reply_encoded(functions: dict[str, Any]) -> None:
    request = func.HttpRequest(
        "POST",
        "https://app.azurewebsites.net/api/v1/triggers/on-demand/submissions?code=SECRET",
        headers={"X-MS-Client-Request-Id": "mine"},
        params={"code": "SECRET"},
        route_params={"name": "on-demand"},
        body='{"ü": 1}'.encode(),
    )
    answer = functions["submit"].get_user_function()(request)
    assert (answer.status_code, answer.mimetype, answer.charset) == (
        400,
        "application/problem+json",
        "utf-8",
    )
    assert '"request_id": "mine"' in answer.get_body().decode()
    assert '"where": "ü"' in answer.get_body().decode()
