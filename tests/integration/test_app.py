"""The app on the real Functions runtime, with Azurite, a workspace and an identity endpoint: all three triggers."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.processes.child import ChildFailed
from local.processes.host import HostOptions
from local.stack import Stack
from local.standins.azurite import Azurite
from local.standins.identity import IdentityFault
from local.standins.workspace.faults import FaultKind, WorkspaceFault
from shared.web.api import openapi  # noqa: F401 — importing the module declares the routes
from shared.web.registry import ROUTES

ROOT = Path(__file__).resolve().parents[2]
CALL = "/api/v1/triggers/on-demand/submissions"

pytestmark = [pytest.mark.azurite, pytest.mark.runtime, pytest.mark.xdist_group("azurite")]


@pytest.fixture(scope="module")
def stack(azurite: Azurite) -> Iterator[Stack]:
    """Return the running sample app, with function keys and without its timer."""
    keys = {"default": "the-default-key", "master": "the-master-key"}
    with Stack(ROOT, azurite=azurite, options=HostOptions(keys=keys, timers=False)) as running:
        yield running


@pytest.fixture
def open_stack(azurite: Azurite, tmp_path: Path) -> Iterator[Callable[..., Stack]]:
    """Return a function that runs the app with the test's own settings or triggers."""
    opened: list[Stack] = []

    def start(triggers: str | None = None, **settings: str | None) -> Stack:
        if triggers is not None:
            file = tmp_path / "triggers.yaml"
            file.write_text(triggers)
            settings["TRIGGERS_FILE"] = str(file)
        options = HostOptions(timers=False)
        opened.append(Stack(ROOT, azurite=azurite, settings=settings, options=options))
        return opened[-1]

    yield start
    for running in opened:
        running.close()


def bodies(stack: Stack) -> list[dict[str, Any]]:
    return [run.body for run in stack.workspace.runs.all()]


def paths(stack: Stack) -> list[str]:
    found = [body.get("DataPathAssignments", {}).get("input_datapath") for body in bodies(stack)]
    return [place["RelativePath"] for place in found if place is not None]


def log(stack: Stack) -> str:
    return stack.host_log.read_text(encoding="utf-8", errors="replace")


def unused_connection() -> str:
    """Return a connection string of a storage account without a server."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}/gone"
    return f"AccountName=gone;AccountKey=c2VjcmV0LWtleQ==;BlobEndpoint={url};TableEndpoint={url};"


def test_one_function_a_trigger_and_a_route_with_the_bindings_of_the_design(stack: Stack) -> None:
    listed = stack.call("GET", "/admin/functions", headers={"x-functions-key": "the-master-key"})
    functions = {one["name"]: one["config"]["bindings"] for one in listed.json()}
    assert list(functions) == ["tick", "blob_new-data", *(entry.function for entry in ROUTES)]
    assert functions["tick"][0]["schedule"] == "0 * * * * *"
    (blob,) = functions["blob_new-data"]
    assert blob == {
        "direction": "IN",
        "type": "blobTrigger",
        "name": "blob",
        "path": f"{stack.container}/incoming/{{name}}",
        "connection": "DataStorage",
        "source": "LogsAndContainerScan",
        "properties": {"SupportsDeferredBinding": True},
    }
    levels = {name: bindings[0].get("authLevel") for name, bindings in functions.items()}
    assert levels["submit"] == levels["get_submission"] == "FUNCTION"
    assert levels["health"] == "ANONYMOUS"


def test_a_call_without_a_key_is_refused_and_health_needs_none(stack: Stack) -> None:
    wrong = {"x-functions-key": "wrong"}
    assert stack.call("POST", CALL, headers=wrong).status_code == 401
    assert stack.call("GET", f"/api/v1/submissions/{'0' * 32}", headers=wrong).status_code == 401
    health = stack.call("GET", "/api/health", headers=wrong)
    assert health.status_code == 200
    assert set(health.json()) == {"ledger", "last_tick", "dead", "held", "version", "file"}


def test_a_call_starts_a_run_and_a_repeated_one_does_not(stack: Stack) -> None:
    before = len(bodies(stack))
    headers = {"x-functions-key": "the-default-key", "Idempotency-Key": "order-1"}
    body = {"parameters": {"input_string": "ü {{ 7*7 }}"}}
    first = stack.call("POST", CALL, json=body, headers=headers)
    again = stack.call("POST", CALL, json=body, headers=headers)
    other = stack.call("POST", CALL, json={}, headers=headers)
    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 422)
    assert first.json()["id"] == again.json()["id"]
    location = first.headers["Location"].removeprefix(stack.url)
    polled = stack.call("GET", location, headers={"x-functions-key": ""})
    assert (polled.status_code, polled.json()["state"]) == (202, "submitted")
    shown = stack.call("GET", f"/api/v1/submissions/{first.json()['id']}")
    assert (shown.status_code, shown.json()["state"]) == (200, "submitted")
    (received,) = bodies(stack)[before:]
    assert received["ParameterAssignments"] == {"input_string": "ü {{ 7*7 }}"}
    assert received["tags"]["submission"] == f"{first.json()['id']}-1"
    assert other.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "data", "status"),
    [
        ("nobody", b"{}", 404),
        ("on-demand", b"{", 400),
        ("on-demand", b'{"parameters": {"input_string": null}}', 400),
        ("on-demand", b" " * 50_000, 413),
        ("new-data", b"{}", 409),
        ("every-15-minutes", b"{}", 409),
    ],
)
def test_a_bad_call_gets_a_problem_and_starts_nothing(
    stack: Stack, path: str, data: bytes, status: int
) -> None:
    before = len(bodies(stack))
    answer = stack.call("POST", f"/api/v1/triggers/{path}/submissions", data=data)
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert "Traceback" not in answer.text
    assert len(bodies(stack)) == before


NAMES = [
    "incoming/a +%41 #?'\"b😀.csv",
    "incoming/percent%2Fslash&x=1;y.csv",
    "incoming/" + "n" * 1011 + ".csv",
]


def test_blobs_start_runs_with_exactly_their_names_and_an_overwritten_one_starts_another(
    stack: Stack,
) -> None:
    for name in NAMES:
        stack.upload(name, b"1")
    stack.upload("incoming/notes.txt", b"1")
    stack.upload("incoming/sub/a.csv", b"1")
    stack.upload("elsewhere/a.csv", b"1")
    stack.wait_until(lambda: set(NAMES) <= set(paths(stack)), what="runs of all blobs")
    stack.upload(NAMES[0], b"2")
    stack.wait_until(lambda: paths(stack).count(NAMES[0]) == 2, what="run of the new version")
    assert "incoming/sub/a.csv lies in a sub-folder" in log(stack)
    assert sorted(paths(stack)) == sorted([*NAMES, NAMES[0]])
    assert all(len(name) <= 1024 for name in NAMES)


def test_a_repeated_notification_starts_no_second_run(stack: Stack) -> None:
    name = "incoming/again.csv"
    stack.upload(name, b"1")
    stack.wait_until(lambda: name in paths(stack), what="run of the blob")
    for _ in range(3):
        stack.run_function("blob_new-data", given=f"{stack.container}/{name}")
    stack.wait_until(lambda: log(stack).count("[event_repeated]") >= 3, what="three repetitions")
    assert paths(stack).count(name) == 1


def test_a_vanished_blob_is_ignored_and_logged(stack: Stack) -> None:
    stack.run_function("blob_new-data", given=f"{stack.container}/incoming/gone.csv")
    line = "ignores incoming/gone.csv: the blob has vanished"
    stack.wait_until(lambda: line in log(stack), what="record of the vanished blob")


def test_event_grid_notifications_start_runs_too(open_stack: Callable[..., Stack]) -> None:
    stack = open_stack(BLOB_SOURCE="event_grid")
    names = ["incoming/a +%41 b.csv", "incoming/plain.csv"]
    for name in names:
        stack.upload(name, b"1")
        stack.announce("blob_new-data", name)
        stack.announce("blob_new-data", name)
    stack.wait_until(lambda: set(names) <= set(paths(stack)), what="runs of the announced blobs")
    stack.wait_until(lambda: log(stack).count("Executed 'Functions.blob_") >= 4, what="four calls")
    assert sorted(paths(stack)) == sorted(names)


SCHEDULED = (ROOT / "local" / "demo.yaml").read_text()


def test_the_timer_function_starts_the_schedules_run_once(open_stack: Callable[..., Stack]) -> None:
    stack = open_stack(SCHEDULED)
    for _ in range(3):
        stack.run_function("tick")
    stack.wait_until(lambda: log(stack).count("Executed 'Functions.tick'") == 3, what="three ticks")
    (body,) = bodies(stack)
    assert (body["ExperimentName"], body["Description"]) == ("MyRestPipeline", "Based on time")
    health = stack.call("GET", "/api/health").json()
    assert health["last_tick"] is not None


def test_with_the_ledger_down_every_function_fails_loudly_and_nothing_is_sent(
    open_stack: Callable[..., Stack],
) -> None:
    stack = open_stack(SCHEDULED, LEDGER_CONNECTION="Gone", Gone=unused_connection())
    answer = stack.call("POST", CALL, json={"day": "monday"})
    assert (answer.status_code, answer.json()["title"]) == (503, "Service unavailable")
    assert stack.call("GET", "/api/health").status_code == 503
    stack.run_function("tick")
    stack.upload("incoming/a.csv", b"1")
    for function in ("tick", "blob_new-data"):
        line = f"Executed 'Functions.{function}' (Failed"
        stack.wait_until(lambda text=line: text in log(stack), what=line)  # type: ignore[misc]  # a default binds the loop's value
    assert bodies(stack) == []
    assert "c2VjcmV0LWtleQ" not in log(stack) + answer.text


def test_azure_ml_down_is_recorded_and_the_call_succeeds(open_stack: Callable[..., Stack]) -> None:
    stack = open_stack()
    stack.workspace.faults.add(
        WorkspaceFault(status=500),
        WorkspaceFault(fault_kind=FaultKind.DROP, accepted=True),
        WorkspaceFault(status=404),
        WorkspaceFault(status=429),
    )
    states = [stack.call("POST", CALL).json()["state"] for _ in range(5)]
    assert states == ["unknown", "unknown", "dead", "pending", "submitted"]
    assert len(stack.workspace.received) == 5


def test_identity_down_is_recorded_and_nothing_is_sent(open_stack: Callable[..., Stack]) -> None:
    stack = open_stack()
    stack.identity.fail(*[IdentityFault(status=400)] * 3)
    answer = stack.call("POST", CALL)
    assert (answer.status_code, answer.json()["state"]) == (202, "pending")
    assert "identity" in answer.json()["reason"]
    assert stack.workspace.received == []


def test_a_template_that_fails_on_a_blob_makes_a_dead_submission(
    open_stack: Callable[..., Stack],
) -> None:
    stack = open_stack(
        SCHEDULED.replace(
            'input_datapath: "{{ blob.path }}"', 'input_datapath: "{{ blob.metadata.where }}"'
        )
    )
    stack.upload("incoming/a.csv", b"1")
    reason = "data_paths.input_datapath: the event has no blob.metadata.where"
    stack.wait_until(lambda: reason in log(stack), what="record of the dead submission")
    assert "(Failed" not in log(stack)
    assert bodies(stack) == []


def test_with_a_broken_file_no_function_starts_and_the_error_says_why(
    open_stack: Callable[..., Stack],
) -> None:
    with pytest.raises(ChildFailed) as raised:
        open_stack(SCHEDULED.replace("pipeline: scoring", "pipeline: scorign", 1))
    assert "scorign" in raised.value.output
    assert "scoring" in raised.value.output
    line = SCHEDULED.splitlines().index("    pipeline: scoring") + 1
    assert f"triggers.yaml:{line}:15" in raised.value.output


def test_with_a_missing_setting_no_function_starts_and_the_error_names_it(
    open_stack: Callable[..., Stack],
) -> None:
    with pytest.raises(ChildFailed) as raised:
        open_stack(SCORING_ENDPOINT=None)
    assert "SCORING_ENDPOINT" in raised.value.output


def test_a_restarted_app_remembers_what_it_started(open_stack: Callable[..., Stack]) -> None:
    stack = open_stack(SCHEDULED)
    stack.run_function("tick")
    stack.wait_until(lambda: bodies(stack), what="run of the schedule")
    stack.kill_host()
    stack.start_host()
    stack.run_function("tick")
    answer = stack.call("POST", CALL, json={"day": "monday"}, headers={"Idempotency-Key": "k"})
    stack.kill_host()
    stack.start_host()
    again = stack.call("POST", CALL, json={"day": "monday"}, headers={"Idempotency-Key": "k"})
    assert answer.json()["id"] == again.json()["id"]
    assert len(bodies(stack)) == 2


def test_many_calls_take_one_token_and_no_secret_reaches_the_log(stack: Stack) -> None:
    for _ in range(20):
        stack.call("POST", CALL + "?code=the-default-key", headers={"cookie": "a=biscuit"})
    assert stack.identity.counts["https://management.azure.com"] == 1
    text = log(stack)
    for secret in ("eyJ", "the-default-key", "biscuit", "AccountKey", "Eby8vdM02x"):
        assert secret not in text
    assert json.dumps(bodies(stack)).count("biscuit") == 0
