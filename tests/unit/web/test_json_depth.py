"""The depth of a JSON body is bounded when it is read: the app can store, show and answer what it accepts."""

from __future__ import annotations

import json

import pytest

from shared.web.api import routes
from shared.web.strict_json import MAX_DEPTH
from tests.unit.web.calls import SOURCES, MakeBench, errors, get, post, sent


def nested(depth: int, *, objects: bool) -> bytes:
    """Return a body of so many levels. The body is the first of them, and `day` the second."""
    start, end = (b'{"a":', b"}") if objects else (b"[", b"]")
    levels = depth - 2
    return b'{"day":{"part":"p","x":' + start * levels + b"1" + end * levels + b"}}"


@pytest.mark.parametrize("objects", [False, True])
def test_a_body_of_the_largest_depth_is_stored_answered_and_shown(
    make_bench: MakeBench, objects: bool
) -> None:
    bench = make_bench(SOURCES)
    raw = nested(MAX_DEPTH, objects=objects)
    reply = post(bench, name="strict", raw=raw)
    assert reply.status == 202
    assert sent(bench)["ParameterAssignments"] == {"part": "p"}
    shown = get(routes.get_submission, bench, id=reply.content["id"])
    assert shown.status == 200
    assert json.loads(json.dumps(shown.content))["event"]["body"] == json.loads(raw)


@pytest.mark.parametrize("objects", [False, True])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 200, 255, 256, 1_000, 8_000])
def test_a_deeper_body_is_400_and_starts_nothing(
    make_bench: MakeBench, objects: bool, depth: int
) -> None:
    bench = make_bench(SOURCES)
    reply = post(bench, name="strict", raw=nested(depth, objects=objects))
    assert reply.status == 400
    message = "found values that are nested too deeply; at most 64 levels are allowed: flatten them"
    assert errors(reply) == {"body": message}
    assert bench.workspace.bodies == []
    assert bench.submissions() == []
