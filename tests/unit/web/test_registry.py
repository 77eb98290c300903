"""The route registry: declarations, roles, query names, request ids, and errors as problems."""

from __future__ import annotations

import logging

import pytest

from local.testing.memory_table import Fault
from shared.core.errors import (
    LedgerUnavailable,
    NotFound,
    RenderError,
    StorageUnavailable,
)
from shared.ledger.table.protocol import Merge
from shared.web.api import openapi, routes
from shared.web.callers import NO_ROLE
from shared.web.exchange import Reply, Request
from shared.web.registry import ROUTES, RouteCall, RouteEntry, RouteRegistry
from tests.unit.web.calls import (
    HTTP_TRIGGERS,
    REFUSED,
    SOURCES,
    MakeBench,
    errors,
    get,
    listed,
    post,
    principal,
    send,
)

ALLOWED: dict[str, set[str]] = {
    "submit": {"submitter", "operator"},
    "list_triggers": {"reader", "operator"},
    "get_trigger": {"reader", "operator"},
    "set_trigger": {"operator"},
    "list_submissions": {"reader", "operator"},
    "get_submission": {"reader", "operator"},
    "get_result": {"submitter", "reader", "operator"},
    "act_on_submission": {"operator"},
    "preview": {"reader", "operator"},
    "openapi": {"submitter", "reader", "operator"},
    "status": set(),
    "health": set(),
}
"""Roles that may call each route. A route without roles is open to callers without a key, too."""


def test_each_route_has_the_roles_that_it_should_have() -> None:
    assert {entry.function: set(entry.roles) for entry in ROUTES} == ALLOWED
    assert {entry.function for entry in ROUTES if not entry.key} == {"status", "health"}


@pytest.mark.parametrize("function", [name for name, roles in ALLOWED.items() if roles])
def test_with_roles_on_a_route_needs_one_of_its_roles(make_bench: MakeBench, function: str) -> None:
    bench = make_bench(SOURCES, roles=True)
    params = {"name": "on-demand", "id": "0" * 32, "action": "drop"}

    def code(headers: dict[str, str]) -> int:
        request = Request(url="https://x/", headers=headers, params=params)
        return ROUTES[function](bench.app.api, request).status

    assert code({}) == 401
    assert code(principal()) == 403
    assert code(principal("admin")) == 403
    for role in ("submitter", "reader", "operator"):
        assert (code(principal(role)) not in (401, 403)) is (role in ALLOWED[function])


@pytest.mark.parametrize("action", ["replay", "drop", "cancel"])
def test_only_an_operator_may_act_on_a_submission(make_bench: MakeBench, action: str) -> None:
    bench = make_bench(HTTP_TRIGGERS, roles=True)
    bench.workspace.outcomes = [REFUSED]
    post(bench, headers=principal("submitter"))
    (before,) = bench.submissions()
    for roles in ((), ("submitter",), ("reader",), ("submitter", "reader")):
        headers = principal(*roles)
        reply = get(routes.act_on_submission, bench, headers=headers, id=before.id, action=action)
        assert reply.status == 403
        assert "operator" in reply.content["detail"]
    assert bench.submissions() == [before]
    headers = principal("operator")
    reply = get(routes.act_on_submission, bench, headers=headers, id=before.id, action=action)
    assert reply.status == (409 if action == "cancel" else 200)


def test_a_role_is_checked_before_the_query_and_the_body(make_bench: MakeBench) -> None:
    bench = make_bench(SOURCES, roles=True)
    request = Request(url="https://x/", query={"x": "1"}, body=b"{", params={"name": "on-demand"})
    assert routes.set_trigger(bench.app.api, request).status == 401


# Declarations


def answer_nothing(call: RouteCall) -> Reply:
    """Answer with an empty object."""
    return Reply(status=200, content={"caller": call.caller.name})


def test_every_route_is_declared_once() -> None:
    assert len({entry.function for entry in ROUTES}) == len(ROUTES) == len(ALLOWED)
    assert len({(entry.method, entry.path) for entry in ROUTES}) == len(ROUTES)
    for entry in ROUTES:
        assert ROUTES[entry.function] is entry
        assert entry.handler.__name__ == entry.function
        assert not entry.path.startswith("/")


def test_the_decorated_name_is_the_entry() -> None:
    assert ROUTES["submit"] is routes.submit
    assert ROUTES["openapi"] is openapi.openapi


def test_routes_keep_the_order_of_their_declaration() -> None:
    registry = RouteRegistry()
    for name in ("b", "a", "c"):
        registry.route(name, "GET", f"v1/{name}", roles=NO_ROLE)(answer_nothing)
    assert [entry.function for entry in registry] == ["b", "a", "c"]


def test_a_function_name_is_declared_only_once() -> None:
    registry = RouteRegistry()
    registry.route("a", "GET", "v1/a", roles=NO_ROLE)(answer_nothing)
    with pytest.raises(ValueError, match="two routes with the function name a"):
        registry.route("a", "GET", "v1/b", roles=NO_ROLE)(answer_nothing)


def test_a_method_and_a_path_are_declared_only_once() -> None:
    registry = RouteRegistry()
    registry.route("a", "GET", "v1/a", roles=NO_ROLE)(answer_nothing)
    registry.route("b", "POST", "v1/a", roles=NO_ROLE)(answer_nothing)
    with pytest.raises(ValueError, match="two routes for GET v1/a"):
        registry.route("c", "GET", "v1/a", roles=NO_ROLE)(answer_nothing)
    assert len(registry) == 2


def test_a_route_without_roles_reads_no_principal(make_bench: MakeBench) -> None:
    entry = RouteRegistry().route("a", "GET", "a", roles=NO_ROLE, key=False)(answer_nothing)
    bench = make_bench(SOURCES, roles=True)
    request = Request(url="https://x/", headers=principal("operator", name="forged"))
    assert entry(bench.app.api, request).content == {"caller": None}


# Queries


@pytest.mark.parametrize(
    ("query", "given", "status"),
    [
        ((), {}, 200),
        ((), {"a": "1"}, 400),
        (("a",), {"a": "1"}, 200),
        (("a",), {"A": "1"}, 400),
        (None, {"anything": "1"}, 200),
    ],
)
def test_a_route_accepts_only_the_query_names_that_it_declares(
    make_bench: MakeBench, query: tuple[str, ...] | None, given: dict[str, str], status: int
) -> None:
    entry = RouteRegistry().route("a", "GET", "a", roles=NO_ROLE, query=query)(answer_nothing)
    bench = make_bench(SOURCES)
    assert entry(bench.app.api, Request(url="https://x/", query=given)).status == status


def test_every_unknown_query_name_is_listed(make_bench: MakeBench) -> None:
    entry = RouteRegistry().route("a", "GET", "a", roles=NO_ROLE, query=("limit",))(answer_nothing)
    query = {"limt": "1", "limit": "2", "\r\n": "3"}
    reply = entry(make_bench(SOURCES).app.api, Request(url="https://x/", query=query))
    assert errors(reply) == {
        "��": "unknown query parameter; allowed: limit",
        "limt": "unknown query parameter (did you mean limit?); allowed: limit",
    }


def test_the_query_may_hold_the_hosts_key(make_bench: MakeBench) -> None:
    assert listed(make_bench(SOURCES), code="SECRET", clientId="default").status == 200


# Errors


def failing(error: Exception) -> RouteEntry:
    def fail(call: RouteCall) -> Reply:
        raise error

    return RouteRegistry().route("a", "GET", "a/{name}/{id}", roles=NO_ROLE)(fail)


@pytest.mark.parametrize(
    ("error", "status", "title", "detail"),
    [
        (NotFound("there is none"), 404, "Not found", "there is none"),
        (RenderError("tags.of", "no"), 422, "Values cannot be rendered", "tags.of: no"),
        (StorageUnavailable("down"), 503, "Service unavailable", "down"),
        (
            LedgerUnavailable("https://account.table.core.windows.net did not answer"),
            503,
            "Service unavailable",
            "the ledger did not answer; retry later",
        ),
    ],
)
def test_an_error_of_the_app_is_a_problem(
    make_bench: MakeBench, error: Exception, status: int, title: str, detail: str
) -> None:
    params = {"name": "on-demand", "id": "0" * 32}
    headers = {"x-ms-client-request-id": "mine"}
    request = Request(url="https://x/", headers=headers, params=params)
    reply = failing(error)(make_bench(SOURCES).app.api, request)
    assert reply.content == {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "request_id": "mine",
        "trigger": "on-demand",
        "submission": "0" * 32,
    }


def test_another_exception_is_a_bug_that_reaches_the_host(make_bench: MakeBench) -> None:
    request = Request(url="https://x/", params={"name": "on-demand", "id": "0" * 32})
    with pytest.raises(ZeroDivisionError):
        failing(ZeroDivisionError())(make_bench(SOURCES).app.api, request)


def test_a_problem_names_no_trigger_and_no_submission_that_cannot_exist(
    make_bench: MakeBench,
) -> None:
    request = Request(url="https://x/", params={"name": "absent", "id": "../tick"})
    reply = failing(NotFound("there is none"))(make_bench(SOURCES).app.api, request)
    assert not {"trigger", "submission"} & set(reply.content)


def test_a_ledger_that_is_down_is_503_without_a_stack_trace(
    make_bench: MakeBench, caplog: pytest.LogCaptureFixture
) -> None:
    bench = make_bench(HTTP_TRIGGERS, fault=lambda _call: Fault.NOT_CARRIED_OUT)
    reply = post(bench)
    assert (reply.status, reply.headers["Retry-After"]) == (503, "30")
    assert "Traceback" not in reply.body
    assert caplog.records[-1].levelno == logging.ERROR
    assert bench.workspace.bodies == []
    shown = get(routes.get_submission, bench, id="0" * 32)
    assert shown.status == 503


def test_an_edited_row_is_503_and_the_problem_names_it(make_bench: MakeBench) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    identifier = post(bench).content["id"]
    bench.table.transact([Merge(f"sub:{identifier}", {"state": "dreaming"})])
    reply = get(routes.get_submission, bench, id=identifier)
    assert reply.status == 503
    assert identifier in reply.content["detail"]


def test_an_invalid_request_id_is_replaced(make_bench: MakeBench) -> None:
    headers = {"x-ms-client-request-id": "a\r\nb"}
    reply = get(routes.get_trigger, make_bench(SOURCES), headers=headers, name="absent")
    assert len(reply.content["request_id"]) == 36


@pytest.mark.parametrize(
    "name",
    ["../tick", "..%2f", "on-demand/../x", "\r\nSet-Cookie: a=b", "x" * 10_000, "", "{{ 7*7 }}"],
)
@pytest.mark.parametrize(
    "route", [routes.submit, routes.get_trigger, routes.get_submission, routes.get_result]
)
def test_hostile_names_are_404_and_reach_no_header(
    make_bench: MakeBench, name: str, route: RouteEntry
) -> None:
    reply = get(route, make_bench(SOURCES), name=name, id=name)
    assert reply.status == 404
    assert not [value for value in reply.headers.values() if "Cookie" in value]
    assert len(reply.body) < 1000


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 40_000,
        b'{"enabled": true, "enabled": false}',
        b'{"enabled": NaN}',
        b'{"enabled": ' + b"9" * 5000 + b"}",
        b"\xff",
        b'{"' + b"x" * 10_000 + b'": 1}',
        b'{"enabled": "' + b"x" * 50_000 + b'"}',
    ],
)
@pytest.mark.parametrize("route", [routes.set_trigger, routes.act_on_submission, routes.preview])
def test_hostile_bodies_are_refused_everywhere_with_a_short_reply(
    make_bench: MakeBench, raw: bytes, route: RouteEntry
) -> None:
    bench = make_bench(SOURCES)
    reply = send(route, bench, raw, name="on-demand", id="0" * 32, action="drop")
    assert reply.status in (400, 413)
    assert len(reply.body) < 2000
    assert bench.table.calls["transact"] == 0
