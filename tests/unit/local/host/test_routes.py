"""Routes and keys of the local host."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from local.host.routes import AuthLevel, Keys, read_routes
from local.host.runtime import AppFailed, Function


def http(name: str, **binding: Any) -> Function:
    return Function(
        name=name, id=name, raw_bindings=({"type": "httpTrigger", "name": "req", **binding},)
    )


@pytest.mark.parametrize(
    ("route", "path", "params"),
    [
        ("v1/items/{name}", "/api/v1/items/a%20b%2B%2541", {"name": "a b+%41"}),
        ("v1/items/{name}", "/API/V1/Items/x/", {"name": "x"}),
        ("v1/items/{name}", "/api/v1/items/a%2Fb", {"name": "a%2Fb"}),
        ("v1/items/{name}", "/api/v1/items", None),
        ("v1/items/{name}", "/api/v1/items/a/b", None),
        ("v1/items/{name?}", "/api/v1/items", {}),
        ("v1/items/{id:int}", "/api/v1/items/12", {"id": "12"}),
        ("v1/items/{id:int}", "/api/v1/items/x", None),
        ("files/{*path}", "/api/files/a/b%20c", {"path": "a/b c"}),
        ("a.b", "/api/aXb", None),
        (None, "/api/own-name", {}),
    ],
)
def test_a_route_matches_as_in_the_real_host(
    route: str | None, path: str, params: dict[str, str] | None
) -> None:
    (found,) = read_routes([http("own-name", route=route)], prefix="api")
    assert found.match("GET", path) == params


def test_another_method_is_not_found_and_the_first_loaded_route_wins() -> None:
    routes = read_routes([http("a", route="{x}", methods=["get"]), http("b", route="y")], prefix="")
    assert [route.function for route in routes if route.match("GET", "/y") is not None] == [
        "a",
        "b",
    ]
    assert [route.function for route in routes if route.match("POST", "/y") is not None] == ["b"]


@pytest.mark.parametrize("route", ["a/x{b}", "{b:regex}", "{b"])
def test_a_route_that_cannot_be_read_fails_the_app(route: str) -> None:
    with pytest.raises(AppFailed):
        read_routes([http("a", route=route)], prefix="api")


def test_keys_allow_calls_by_level() -> None:
    keys = Keys(values={"master": "m", "default": "d", "submit": "s"})
    opened = {
        level: {
            key for key in (None, "m", "d", "s", "x") if keys.allow(key, level=level, name="submit")
        }
        for level in AuthLevel
    }
    assert opened[AuthLevel.ANONYMOUS] == {None, "m", "d", "s", "x"}
    assert opened[AuthLevel.FUNCTION] == {"m", "d", "s"}
    assert opened[AuthLevel.ADMIN] == {"m"}
    assert not keys.allow("s", level=AuthLevel.FUNCTION, name="other")
    assert Keys().allow(None, level=AuthLevel.ADMIN, name="")


def test_a_file_of_keys_must_hold_names_and_texts(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text('{"master": 1}')
    with pytest.raises(ValueError, match="names and keys"):
        Keys.read(file)
