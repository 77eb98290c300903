"""Every route of the HTTP API through the real Functions runtime: keys, bindings, curl lines and outcomes."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from cli.openapi import BASE, EXAMPLES, curl
from local.processes.host import HostOptions
from local.stack import Stack
from local.standins.azurite import Azurite
from shared.web.api.openapi import described_routes, document
from shared.web.registry import ROUTES, RouteEntry

ROOT = Path(__file__).resolve().parents[2]
KEY = "the-default-key"
STARTED = "/api/v1/triggers/on-demand/submissions"

pytestmark = [pytest.mark.azurite, pytest.mark.runtime, pytest.mark.xdist_group("azurite")]


@pytest.fixture(scope="module")
def stack(azurite: Azurite) -> Iterator[Stack]:
    """Give the sample app, running, with function keys on, its timer at rest and blobs left to Event Grid."""
    keys = {"default": KEY, "master": "the-master-key", "submit": "the-key-of-submit"}
    options = HostOptions(keys=keys, timers=False)
    settings = {"BLOB_SOURCE": "event_grid"}
    with Stack(ROOT, azurite=azurite, options=options, settings=settings) as running:
        yield running


@pytest.fixture
def location(stack: Stack) -> str:
    """Give the path of a submission's `Location`: `/api/status/<id>/<token>`."""
    answer = stack.call("POST", STARTED)
    assert answer.status_code == 202
    return answer.headers["Location"].removeprefix(stack.url)


def fill(text: str, location: str) -> str:
    _, _, _, identifier, status_token = location.split("/")
    return text.replace("$ID", identifier).replace("$STATUS_TOKEN", status_token)


def test_the_worker_indexes_each_route_with_its_own_binding(stack: Stack) -> None:
    headers = {"x-functions-key": "the-master-key"}
    listed = stack.call("GET", "/admin/functions", headers=headers).json()
    bindings = {one["name"]: one["config"]["bindings"][0] for one in listed}
    for entry in ROUTES:
        binding = bindings[entry.function]
        level = "FUNCTION" if entry.key else "ANONYMOUS"
        found = (binding["type"], binding["name"], binding["route"], binding["methods"])
        assert found == ("httpTrigger", "req", entry.path, [entry.method])
        assert binding["authLevel"] == level


@pytest.mark.parametrize("entry", described_routes(), ids=lambda entry: entry.function)
def test_every_route_answers_with_its_key_and_only_with_it(
    stack: Stack, location: str, entry: RouteEntry
) -> None:
    path, body = EXAMPLES[entry.function]
    path = fill(path, location)
    if entry.function == "preview":
        stack.upload("incoming/a.csv", b"1")

    def call(key: str) -> int:
        headers = {"x-functions-key": key}
        return stack.call(entry.method, path, json=body, headers=headers).status_code

    if entry.key:
        assert {call(""), call("wrong")} == {401}
        assert call("the-key-of-submit") == (202 if entry.function == "submit" else 401)
    answer = stack.call(entry.method, path, json=body, headers={"x-functions-key": KEY})
    assert answer.status_code in entry.answers
    assert answer.headers["Content-Type"] == "application/json"
    if not entry.key:
        assert call("") == answer.status_code


@pytest.mark.parametrize("entry", described_routes(), ids=lambda entry: entry.function)
def test_every_curl_line_of_the_reference_works(
    stack: Stack, location: str, entry: RouteEntry
) -> None:
    page = (ROOT / "docs/reference/http-api.md").read_text(encoding="utf-8")
    line = curl(entry)
    assert f"```sh\n{line}\n```" in page
    command = shlex.split(fill(line.replace(BASE, stack.url), location))
    command[0] = str(shutil.which("curl"))
    key = ["-H", f"x-functions-key: {KEY}"]
    shown = subprocess.run(  # the page's own lines
        [*command, *key, "-w", "\n%{http_code}"], capture_output=True, text=True, check=True
    )
    body, _, status = shown.stdout.rpartition("\n")
    assert int(status) in entry.answers, body
    assert isinstance(json.loads(body), dict)


def test_every_request_of_the_http_file_works(stack: Stack, location: str) -> None:
    text = (ROOT / "docs/api.http").read_text(encoding="utf-8")
    _, _, _, identifier, status_token = location.split("/")
    values = {"base": stack.url, "key": KEY, "id": identifier, "status_token": status_token}
    functions: list[str] = []
    for block in re.split(r"^### .*\n", text, flags=re.MULTILINE)[1:]:
        for name, value in values.items():
            block = block.replace("{{" + name + "}}", value)
        head, _, body = block.strip().partition("\n\n")
        request, *lines = head.splitlines()
        method, url = request.split(" ", 1)
        headers = dict(line.split(": ", 1) for line in lines)
        answer = stack.call(
            method, url.removeprefix(stack.url), data=body.encode(), headers=headers
        )
        entry = described_routes()[len(functions)]
        functions.append(entry.function)
        assert answer.status_code in entry.answers, (entry.function, answer.text)
    assert functions == [entry.function for entry in described_routes()]


def test_the_document_that_the_app_gives_is_the_one_that_is_tested(stack: Stack) -> None:
    given = stack.call("GET", "/api/v1/openapi.json").json()
    assert given == document()
    OpenAPIV31SpecValidator(given).validate()


def test_a_blob_is_previewed_then_started_once_and_listed(stack: Stack) -> None:
    name = "incoming/b +%41 ü.csv"
    stack.upload(name, b"1")
    shown = stack.call("POST", "/api/v1/preview", json={"blob": {"path": name}}).json()
    (expected,) = [one for one in shown["triggers"] if one["starts"]]
    body = {"run_now": True, "blob": name}
    path = "/api/v1/triggers/new-data/submissions"
    first, again = (stack.call("POST", path, json=body) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json()["id"] == again.json()["id"] == expected["submission"]
    assert first.json()["body"] == expected["body"]
    runs = [run for run in stack.workspace.runs.all() if run.body == expected["body"]]
    assert len(runs) == 1
    listed = stack.call("GET", "/api/v1/submissions?trigger=new-data&limit=1").json()
    assert [one["id"] for one in listed["submissions"]] == [expected["submission"]]


def test_a_disabled_trigger_refuses_calls_until_it_is_enabled(stack: Stack) -> None:
    path = "/api/v1/triggers/on-demand"
    off = stack.call("PATCH", path, json={"enabled": False})
    assert (off.status_code, off.json()["enabled"]) == (200, False)
    refused = stack.call("POST", STARTED)
    assert (refused.status_code, refused.json()["trigger"]) == (409, "on-demand")
    assert stack.call("PATCH", path, json={"enabled": None}).json()["enabled"]
    assert stack.call("POST", STARTED).status_code == 202


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/triggers/..%2Ftick",
        "/api/v1/submissions/%2e%2e%2ftick",
        "/api/v1/triggers/%0d%0aSet-Cookie:%20a=b",
        "/api/v1/submissions/" + "x" * 5000,
        "/api/status/" + "0" * 32 + "/%ff",
    ],
)
def test_hostile_paths_are_404(stack: Stack, path: str) -> None:
    answer = stack.call("GET", path)
    assert answer.status_code == 404
    assert "Set-Cookie" not in answer.headers
    assert "Traceback" not in answer.text
