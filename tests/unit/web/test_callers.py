"""Callers: the header of App Service authentication, roles and names."""

from __future__ import annotations

import base64
import json

import pytest

from shared.core.errors import MissingRole, NotSignedIn
from shared.web.api import routes
from shared.web.callers import (
    HEADER,
    MAX_NAME_LENGTH,
    OPERATORS,
    READERS,
    Caller,
    Role,
    read_caller,
)
from shared.web.exchange import Request
from tests.unit.web.calls import HTTP_TRIGGERS, REFUSED, SOURCES, MakeBench, get, post, principal


@pytest.mark.parametrize(
    "header",
    ["%", "ü", "e30=", base64.b64encode(b'{"claims": 7}').decode(), "W10=", "bnVsbA==",
     base64.b64encode(b'{"claims": [{"typ": "roles"}]}').decode(),
     base64.b64encode(b"[" * 40_000).decode(), "A" * 100_000],
)  # fmt: skip
def test_a_principal_that_cannot_be_read_is_401(make_bench: MakeBench, header: str) -> None:
    bench = make_bench(SOURCES, roles=True)
    headers = {"x-ms-client-principal": header}
    assert get(routes.list_triggers, bench, headers=headers).status == 401


def test_with_roles_on_the_callers_name_is_recorded_with_the_action(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(HTTP_TRIGGERS, roles=True)
    bench.workspace.outcomes = [REFUSED]
    post(bench, headers=principal("submitter"))
    (one,) = bench.submissions()
    headers = principal("operator", name="bob\r\nSet-Cookie: x")
    get(routes.act_on_submission, bench, headers=headers, id=one.id, action="replay")
    (one,) = bench.submissions()
    assert [(entry.action, entry.by) for entry in one.decisions] == [
        ("submit", "ada@example.org"),
        ("replay", "bob��Set-Cookie: x"),
    ]
    request = Request(
        url="https://x/",
        headers=principal("operator"),
        body=b'{"enabled": false}',
        params={"name": "on-demand"},
    )
    assert routes.set_trigger(bench.app.api, request).content["overridden_by"] == "ada@example.org"


def test_with_roles_off_a_forged_principal_changes_nothing(make_bench: MakeBench) -> None:
    bench = make_bench(HTTP_TRIGGERS)
    bench.workspace.outcomes = [REFUSED]
    post(bench, headers=principal("operator", name="forged"))
    (one,) = bench.submissions()
    headers = principal(name="forged")
    shown = get(routes.act_on_submission, bench, headers=headers, id=one.id, action="replay")
    assert shown.status == 200
    assert shown.content["decisions"][0]["by"] is None
    assert "forged" not in str([row.values for row in bench.table.page(" ", "~").rows])


def encoded(content: object) -> dict[str, str]:
    return {HEADER: base64.b64encode(json.dumps(content).encode()).decode()}


def test_the_callers_name_and_roles_come_from_the_claims() -> None:
    caller = read_caller(principal("reader", "operator"))
    assert caller == Caller(name="ada@example.org", roles=frozenset({"reader", "operator"}))


@pytest.mark.parametrize("headers", [{}, {HEADER: ""}])
def test_a_request_without_a_principal_is_not_signed_in(headers: dict[str, str]) -> None:
    with pytest.raises(NotSignedIn, match="no signed-in caller"):
        read_caller(headers)


def test_a_principal_that_cannot_be_read_names_the_header_and_not_its_value() -> None:
    with pytest.raises(NotSignedIn) as caught:
        read_caller({HEADER: "SECRET!"})
    assert HEADER in str(caught.value)
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize(
    "role_type",
    ["roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role", "groups-as-roles"],
)
def test_roles_are_read_from_every_claim_type_that_app_service_uses(role_type: str) -> None:
    claims = [{"typ": role_type, "val": "reader"}, {"typ": "other", "val": "operator"}]
    caller = read_caller(encoded({"role_typ": "groups-as-roles", "claims": claims}))
    assert caller.roles == {"reader"}


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"oid": "1", "appid": "2", "name": "Ada", "preferred_username": "ada"}, "ada"),
        ({"oid": "1", "appid": "2", "name": "Ada"}, "Ada"),
        ({"oid": "1", "appid": "2"}, "2"),
        ({"oid": "1"}, "1"),
        ({"oid": "1", "custom": "Countess"}, "Countess"),
        ({"oid": "1", "name": "  "}, "1"),
        ({"oid": "x" * 500}, "x" * MAX_NAME_LENGTH),
        ({}, None),
    ],
)
def test_the_most_readable_claim_names_the_caller(claims: dict[str, str], name: str | None) -> None:
    content = [{"typ": kind, "val": value} for kind, value in claims.items()]
    caller = read_caller(encoded({"name_typ": "custom", "claims": content}))
    assert caller.name == name


def test_the_first_of_two_claims_of_one_type_names_the_caller() -> None:
    claims = [{"typ": "name", "val": "Ada"}, {"typ": "name", "val": "Bob"}]
    assert read_caller(encoded({"claims": claims})).name == "Ada"


@pytest.mark.parametrize("role", Role)
def test_a_caller_needs_one_of_the_allowed_roles(role: Role) -> None:
    caller = Caller(roles=frozenset({role.value}))
    caller.require([role])
    caller.require(Role)
    others = [other for other in Role if other is not role]
    with pytest.raises(MissingRole, match=f"needs the role {others[0]} or {others[1]}"):
        caller.require(others)


def test_a_role_of_another_app_is_no_role_here() -> None:
    for allowed in (READERS, OPERATORS):
        with pytest.raises(MissingRole):
            Caller(roles=frozenset({"Operator", "admin"})).require(allowed)
