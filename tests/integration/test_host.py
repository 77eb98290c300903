"""The local host around a small app on the real runtime: timers, HTTP, blobs, keys, and apps that are broken."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient

from local.processes.child import ChildFailed
from local.processes.host import HostOptions
from local.stack import Stack
from local.standins.azurite import ROOT, Azurite
from local.standins.identity import IdentityEndpoint

pytestmark = [pytest.mark.azurite, pytest.mark.runtime, pytest.mark.xdist_group("azurite")]

APP = """
import json
import logging

import azure.functions as func
import azurefunctions.extensions.bindings.blob as blob

app = func.FunctionApp()
log = logging.getLogger("sample")


@app.timer_trigger(schedule="0 0 0 1 1 *", arg_name="timer")
def tick(timer: func.TimerRequest) -> None:
    log.info(f"ticked past_due={timer.past_due}", extra={"action": "tick_ended"})


@app.route("v1/items/{name}", methods=["GET", "POST"])
def item(req: func.HttpRequest) -> func.HttpResponse:
    if "fail" in req.params:
        raise ValueError("the secret reason")
    seen = {
        "method": req.method, "url": req.url, "params": dict(req.params), "route": dict(req.route_params),
        "headers": dict(req.headers), "body": req.get_body().decode("latin-1"),
    }
    return func.HttpResponse(json.dumps(seen), status_code=201, headers={"Location": "/somewhere"})


@app.route("open", auth_level=func.AuthLevel.ANONYMOUS)
async def anybody(req: func.HttpRequest) -> str:
    return "open to all"


@app.route("secret", auth_level=func.AuthLevel.ADMIN)
def secret(req: func.HttpRequest) -> str:
    return "for the master"


def add(name: str, **options: str) -> None:
    def on_blob(client: blob.BlobClient) -> None:
        if "bad" in client.blob_name:
            raise RuntimeError("cannot use it")
        log.info(json.dumps([name, client.container_name, client.blob_name]), extra={"action": "blob_seen"})

    app.function_name(name)(
        app.blob_trigger(arg_name="client", connection="DataStorage", **options)(on_blob)
    )


add("blob_polled-one", path="%DATA_CONTAINER%/incoming/{name}")
add("blob_later", path="%DATA_CONTAINER%-later/{name}")
add("blob_told", path="%DATA_CONTAINER%/told/{name}", source="EventGrid")
"""
NAMES = ["a b+c.csv", "%41.csv", "sub/😀 é.csv", "#?&'\".csv", "..hidden", "50%"]
KEYS = {
    "default": "the-default",
    "master": "the-master",
    "item": "the-item",
    "blobs_extension": "the-webhook",
}


def write_app(directory: Path, text: str = APP) -> Path:
    (directory / "function_app.py").write_text(text)
    (directory / "host.json").write_text('{"version": "2.0"}')
    return directory


@pytest.fixture(scope="module")
def stack(azurite: Azurite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    app = write_app(tmp_path_factory.mktemp("app"))
    options = HostOptions(keys=KEYS, interval=timedelta(seconds=0.2))
    with Stack(app, azurite=azurite, options=options) as running:
        yield running


def seen_by(stack: Stack, function: str) -> list[str]:
    found = []
    for line in stack.host.child.output.splitlines():
        if "[blob_seen]" in line:
            text = line.partition("[blob_seen] ")[2].rpartition(" invocation=")[0]
            name, _, blob = json.loads(text)
            found += [blob] if name == function else []
    return found


def lines(stack: Stack, *words: str) -> list[str]:
    return [
        line for line in stack.host.child.output.splitlines() if all(word in line for word in words)
    ]


def send_raw(stack: Stack, method: str, path: str, **options: Any) -> requests.Response:
    with requests.Session() as session:
        return session.request(method, stack.url + path, timeout=30, **options)


def test_functions_are_listed_in_load_order_with_their_bindings(stack: Stack) -> None:
    names = ["tick", "item", "anybody", "secret", "blob_polled-one", "blob_later", "blob_told"]
    assert stack.host.functions == names
    master = {"x-functions-key": "the-master"}
    listed = stack.call("GET", "/admin/functions", headers=master).json()
    assert [function["name"] for function in listed] == names
    binding = listed[4]["config"]["bindings"][0]
    assert binding["properties"] == {"SupportsDeferredBinding": True}
    assert stack.call("GET", "/admin/host/status", headers=master).json()["state"] == "Running"


def test_a_request_arrives_as_it_was_sent(stack: Stack) -> None:
    answer = stack.call(
        "POST",
        "/api/v1/items/a%20b%2B%2541?q=1&q=2&plus=%2B&empty=",
        data=b"\x00\xff",
        headers={"X-Mixed-Case": "Yes", "x-functions-key": "the-item"},
    )
    assert (answer.status_code, answer.headers["Location"]) == (201, "/somewhere")
    seen = answer.json()
    assert seen["route"] == {"name": "a b+%41"}
    assert seen["params"] == {"q": "1,2", "plus": "+", "empty": ""}
    assert seen["body"] == "\x00\xff"
    assert seen["headers"]["x-mixed-case"] == "Yes"
    assert seen["url"] == f"{stack.url}/api/v1/items/a%20b%2B%2541?q=1&q=2&plus=%2B&empty="


def test_a_chunked_body_arrives_whole(stack: Stack) -> None:
    headers = {"x-functions-key": "the-item"}
    answer = send_raw(
        stack, "POST", "/api/v1/items/x", data=iter([b"one ", b"two"]), headers=headers
    )
    assert answer.json()["body"] == "one two"


def test_keys_are_checked_before_any_python_runs(stack: Stack) -> None:
    status = {
        "/api/v1/items/x": 401,
        "/api/v1/items/x?code=wrong": 401,
        "/api/v1/items/x?code=the-default": 201,
        "/api/v1/items/x?code=the-item": 201,
        "/api/open": 200,
        "/api/secret?code=the-default": 401,
        "/api/secret?code=the-master": 200,
        "/api/nothing": 404,
        "/admin/functions": 401,
        "/admin/functions?code=the-default": 401,
    }
    assert {path: send_raw(stack, "GET", path).status_code for path in status} == status
    assert send_raw(stack, "DELETE", "/api/open").status_code == 200
    assert send_raw(stack, "PUT", "/api/v1/items/x?code=the-item").status_code == 404
    assert send_raw(stack, "GET", "/api/open").text == "open to all"


def test_a_function_that_raises_answers_500_without_a_reason(stack: Stack) -> None:
    answer = stack.call("GET", "/api/v1/items/x?fail=1")
    assert (answer.status_code, answer.content) == (500, b"")
    stack.wait_until(
        lambda: lines(stack, "Functions.item", "Failed", "the secret reason"), what="log line"
    )


def test_the_admin_api_runs_a_timer(stack: Stack) -> None:
    stack.run_function("tick")
    stack.wait_until(lambda: lines(stack, "[tick_ended] ticked past_due=False"), what="tick")
    stack.wait_until(lambda: lines(stack, "Executed 'Functions.tick' (Succeeded"), what="log line")
    with pytest.raises(requests.HTTPError, match="404"):
        stack.run_function("nothing")
    with pytest.raises(requests.HTTPError, match="400"):
        stack.run_function("item")


def test_polled_blobs_arrive_once_a_version_with_their_exact_names(stack: Stack) -> None:
    stack.upload("other/not-mine.csv")
    names = [f"incoming/{name}" for name in NAMES]
    for name in names:
        stack.upload(name, b"1")
    stack.wait_until(lambda: len(seen_by(stack, "blob_polled-one")) >= len(names), what="blobs")
    assert sorted(seen_by(stack, "blob_polled-one")) == sorted(names)
    stack.upload(names[0], b"2")
    stack.wait_until(
        lambda: seen_by(stack, "blob_polled-one").count(names[0]) == 2, what="the second version"
    )
    assert len(seen_by(stack, "blob_polled-one")) == len(names) + 1


def test_a_container_that_comes_later_is_waited_for(stack: Stack) -> None:
    container = f"{stack.container}-later"
    stack.wait_until(lambda: lines(stack, container, "is not there yet"), what="warning")
    stack.create_container(container)
    stack.upload("deep/down.csv", container=container)
    stack.wait_until(lambda: seen_by(stack, "blob_later") == ["deep/down.csv"], what="the blob")


def test_event_grid_notifies_the_host_through_the_webhook(stack: Stack) -> None:
    for name in NAMES:
        stack.announce("blob_told", f"told/{name}")
    stack.wait_until(lambda: len(seen_by(stack, "blob_told")) == len(NAMES), what="blobs")
    assert sorted(seen_by(stack, "blob_told")) == sorted(f"told/{name}" for name in NAMES)


def test_the_webhook_answers_the_handshake_and_refuses_other_callers(stack: Stack) -> None:
    path = "/runtime/webhooks/blobs?functionName=Host.Functions.blob_told"
    event = {
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "data": {"validationCode": "7"},
    }
    answer = send_raw(stack, "POST", f"{path}&code=the-webhook", json=[event])
    assert answer.json() == {"validationResponse": "7"}
    assert send_raw(stack, "POST", f"{path}&code=wrong", json=[event]).status_code == 401
    assert send_raw(stack, "POST", f"{path}&code=the-webhook", data=b"x").status_code == 400
    other = path.replace("blob_told", "blob_later") + "&code=the-webhook"
    assert send_raw(stack, "POST", other, json=[event]).status_code == 404


def test_a_blob_that_always_fails_is_poison_after_five_tries(stack: Stack) -> None:
    stack.announce("blob_told", "told/bad")
    stack.wait_until(
        lambda: lines(stack, "poison: blob_told failed 5 times", "told/bad"), what="poison"
    )
    assert len(lines(stack, "Functions.blob_told' (Failed", "told/bad", "cannot use it")) == 5
    master = {"x-functions-key": "the-master"}
    poison = stack.call("GET", "/admin/host/status", headers=master).json()["poison"]
    assert [blob["name"] for blob in poison] == ["told/bad"]


def test_a_restarted_host_remembers_what_is_done(azurite: Azurite, tmp_path: Path) -> None:
    app = write_app(tmp_path)
    with Stack(app, azurite=azurite, options=HostOptions(interval=timedelta(seconds=0.2))) as stack:
        stack.upload("incoming/1")
        stack.wait_until(lambda: seen_by(stack, "blob_polled-one"), what="the blob")
        stack.wait_until(
            lambda: lines(stack, "Functions.blob_polled-one' (Succeeded"), what="its end"
        )
        stack.stop_host()
        stack.upload("incoming/2")
        stack.start_host()
        stack.wait_until(lambda: seen_by(stack, "blob_polled-one"), what="the second blob")
        assert seen_by(stack, "blob_polled-one") == ["incoming/2"]
        stack.kill_host()
        stack.upload("incoming/3")
        stack.start_host()
        stack.wait_until(
            lambda: "incoming/3" in seen_by(stack, "blob_polled-one"), what="the third"
        )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("raise RuntimeError('line one\\nline two')", "RuntimeError: line one\nline two"),
        ("import nothing_of_that_name", "nothing_of_that_name"),
        ("import sys\nsys.exit('over')", "over"),
        ("x = 1", "function app"),
        (APP.replace('"0 0 0 1 1 *"', '"* * * * *"'), "tick: '* * * * *' must have six fields"),
        (
            APP.replace("client: blob.BlobClient", "client: func.InputStream"),
            "must be a BlobClient",
        ),
        (APP.replace('"DataStorage"', '"NotThere"'), "there is no app setting NotThere"),
    ],
    ids=["raises", "imports-nothing", "exits", "no-app", "schedule", "blob-type", "connection"],
)
def test_an_app_that_cannot_be_used_ends_the_host_with_its_message(
    azurite: Azurite, tmp_path: Path, text: str, words: str
) -> None:
    with pytest.raises(ChildFailed) as raised:
        Stack(write_app(tmp_path, text), azurite=azurite)
    assert raised.value.code == 3
    assert words in raised.value.output


def test_up_restarts_the_host_when_a_file_changes_and_waits_while_it_is_broken(
    tmp_path: Path,
) -> None:
    app = write_app(tmp_path)
    (app / "triggers.yaml").write_text("pipelines: {a: {endpoint: '${MY_ENDPOINT}'}}")
    output = tmp_path / "output.txt"
    command = [sys.executable, "-u", "-m", "cli", "up", "--app", str(app), "--port", "0"]
    with output.open("wb") as file:
        running = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=ROOT)

    def wait_for(words: str, count: int = 1) -> None:
        deadline = time.monotonic() + 60
        while output.read_text().count(words) < count:
            assert time.monotonic() < deadline, output.read_text()
            assert running.poll() is None, output.read_text()
            time.sleep(0.05)

    try:
        wait_for("MY_ENDPOINT is not set")
        wait_for("the host runs: http://127.0.0.1:")
        write_app(tmp_path, "raise RuntimeError('broken on purpose')")
        wait_for("RuntimeError: broken on purpose")
        wait_for("waiting for a change")
        write_app(tmp_path)
        wait_for("the host runs: http://127.0.0.1:", 2)
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(30)
    assert running.returncode == 0
    assert output.read_text().endswith("stopped\n")


def test_azurite_takes_tokens_of_the_identity_endpoint_over_https(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    files = (tmp_path / "cert.pem", tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(files[0])
    certificate.private_key_pem.write_to_path(files[1])
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    with IdentityEndpoint() as identity, Azurite(certificate=files) as azurite:
        assert azurite.blob_endpoint.startswith("https://")
        with pytest.MonkeyPatch.context() as patch:
            for name, value in identity.environment.items():
                patch.setenv(name, value)
            with (
                ManagedIdentityCredential() as credential,
                BlobServiceClient(
                    azurite.blob_endpoint,
                    credential=credential,
                    connection_verify=str(tmp_path / "ca.pem"),
                ) as client,
            ):
                client.create_container("made")
                assert [item.name for item in client.list_containers()] == ["made"]
        assert identity.counts == {"https://storage.azure.com": 1}
