"""The host's rules without a process: routes, keys, timers, paths, the queue of blobs, and what `up` reads."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from local.host.blobs import MAX_TRIES, Blob, BlobPattern, BlobQueue, Receipts
from local.host.routes import AuthLevel, Keys, read_routes
from local.host.runtime import AppFailed, Function, Result, Runtime
from local.host.timers import Ncrontab, Timer, resolve_settings
from local.settings_file import SETTINGS_FILE, SettingsFileBroken, read_values
from local.up import Endpoints, find_directories, read_endpoints

NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)


class FakeRuntime(Runtime):
    """Remembers calls; fails as often as it is told."""

    def __init__(self, *, failures: int = 0, during: Callable[[], None] = lambda: None) -> None:
        self.calls: list[dict[str, Any]] = []
        self._failures = failures
        self._during = during
        self._lock = threading.Lock()

    def _record(self, name: str, options: dict[str, Any]) -> Result:
        with self._lock:
            self.calls.append({"name": name, **options})
            failed = len(self.calls) <= self._failures
        self._during()
        return Result(ok=not failed, error="ValueError: no" if failed else None)

    def invoke_timer(self, name: str, **options: Any) -> Result:
        return self._record(name, options)

    def invoke_blob(self, name: str, **options: Any) -> Result:
        return self._record(name, options)


def http(name: str, **binding: Any) -> Function:
    return Function(
        name=name, id=name, raw_bindings=({"type": "httpTrigger", "name": "req", **binding},)
    )


def timer(schedule: str, **binding: Any) -> Function:
    trigger = {"type": "timerTrigger", "name": "timer", "schedule": schedule, **binding}
    return Function(name="tick", id="1", raw_bindings=(trigger,))


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


def test_keys_open_by_level() -> None:
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


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("0 * * * * *", "2027-03-01T12:01:00+00:00"),
        ("*/15 * * * * *", "2027-03-01T12:00:15+00:00"),
        ("0 30 9 * * 1-5", "2027-03-02T09:30:00+00:00"),
        ("0 0 0 13 * 5", "2027-08-13T00:00:00+00:00"),  # day and weekday both, unlike cron
    ],
)
def test_ncrontab_comes_when_azure_says(expression: str, due: str) -> None:
    assert Ncrontab(expression).after(NOON).isoformat() == due


@pytest.mark.parametrize("expression", ["* * * * *", "x * * * * *", "00:05:00"])
def test_what_is_not_ncrontab_is_refused(expression: str) -> None:
    with pytest.raises(ValueError):
        Ncrontab(expression)


def test_a_run_longer_than_the_interval_is_followed_by_one_late_run() -> None:
    now = NOON
    runtime = FakeRuntime()
    tick_runner = Timer(timer("0 * * * * *"), runtime, clock=lambda: now)
    now = NOON + timedelta(minutes=3, seconds=30)
    tick_runner.run_due()
    assert tick_runner.due == now
    tick_runner.run_due()
    assert tick_runner.due == NOON + timedelta(minutes=4)
    assert [call["past_due"] for call in runtime.calls] == [False, False]


def test_what_was_missed_while_down_is_one_past_due_call(tmp_path: Path) -> None:
    now = NOON
    runtime = FakeRuntime()

    def make() -> Timer:
        return Timer(timer("0 * * * * *"), runtime, clock=lambda: now, state=tmp_path)

    first = make()
    first.start()
    assert not runtime.calls
    first.run_due()
    now = NOON + timedelta(hours=1)
    make().start()
    make().start()
    assert [call["past_due"] for call in runtime.calls] == [False, True]


def test_a_timer_that_wants_to_run_at_the_start_does() -> None:
    runtime = FakeRuntime()
    Timer(timer("0 * * * * *", runOnStartup=True), runtime, clock=lambda: NOON).start()
    assert [call["past_due"] for call in runtime.calls] == [False]


def test_a_timer_that_is_not_ncrontab_fails_the_app() -> None:
    with pytest.raises(AppFailed, match="six fields"):
        Timer(timer("* * * * *"), FakeRuntime(), clock=lambda: NOON)


def test_settings_stand_in_paths_and_schedules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHERE", "data")
    assert resolve_settings("%WHERE%/{name}", "f") == "data/{name}"
    with pytest.raises(AppFailed, match="NOT_THERE"):
        resolve_settings("%NOT_THERE%", "f")


@pytest.mark.parametrize(
    ("path", "name", "matches"),
    [
        ("data/incoming/{name}", "incoming/a.csv", True),
        ("data/incoming/{name}", "incoming/sub/a+ %41 😀\n.csv", True),
        ("data/incoming/{name}", "Incoming/a.csv", False),
        ("data/incoming/{name}.csv", "incoming/a.txt", False),
        ("data", "anything/at all", True),
        ("data/a.b/{x}", "aXb/c", False),
    ],
)
def test_a_path_matches_as_in_the_real_host(path: str, name: str, matches: bool) -> None:
    pattern = BlobPattern(path, function="f")
    assert pattern.matches(name) is matches
    assert not matches or name.startswith(pattern.prefix)


def test_a_container_cannot_be_a_pattern() -> None:
    with pytest.raises(AppFailed, match="container"):
        BlobPattern("{container}/x", function="f")


def drain(runtime: FakeRuntime, *blobs: Blob) -> tuple[list[Blob], list[Blob]]:
    done: list[Blob] = []
    finished = threading.Semaphore(0)

    def note(blob: Blob) -> None:
        done.append(blob)
        finished.release()

    queue = BlobQueue(runtime, workers=2, retry_delay=timedelta(0), done=note)
    for blob in blobs:
        queue.put(blob)
    for _ in blobs:
        assert finished.acquire(timeout=30)
    queue.close()
    return done, queue.poison


def test_a_raising_function_is_tried_five_times_and_then_poison() -> None:
    blob = Blob(function="f", container="c", name="n", etag="1")
    runtime = FakeRuntime(failures=100)
    assert drain(runtime, blob) == ([blob], [blob])
    assert len(runtime.calls) == MAX_TRIES
    runtime = FakeRuntime(failures=2)
    assert drain(runtime, blob) == ([blob], [])
    assert len(runtime.calls) == 3


def test_receipts_outlive_the_host_only_for_what_is_done(tmp_path: Path) -> None:
    one, two = (Blob(function="f", container="c", name="n\n😀", etag=etag) for etag in "12")
    receipts = Receipts(tmp_path)
    assert [receipts.claim(blob) for blob in (one, two, one)] == [True, True, False]
    receipts.write(one)
    assert [Receipts(tmp_path).claim(blob) for blob in (one, two)] == [False, True]
    assert [Receipts(None).claim(blob) for blob in (one, one)] == [True, True]


def test_local_settings_are_read_and_mistakes_told(tmp_path: Path) -> None:
    assert read_values(tmp_path / SETTINGS_FILE) == {}
    file = tmp_path / "local.settings.json"
    file.write_text(json.dumps({"IsEncrypted": False, "Values": {"A": "1"}}))
    assert read_values(tmp_path / SETTINGS_FILE) == {"A": "1"}
    for text, word in (
        ("{", "not JSON"),
        ("[]", "Values"),
        ('{"Values": {"A": 1}}', "quotes"),
        ('{"IsEncrypted": true, "Values": {}}', "encrypted"),
    ):
        file.write_text(text)
        with pytest.raises(SettingsFileBroken, match=word):
            read_values(tmp_path / SETTINGS_FILE)


def test_endpoints_that_nobody_set_are_found(tmp_path: Path) -> None:
    file = tmp_path / "triggers.yaml"
    assert read_endpoints(file, settings={}) == Endpoints()
    file.write_text("pipelines: [")
    assert read_endpoints(file, settings={}) == Endpoints()
    file.write_text(
        "pipelines:\n  a: {endpoint: '${A}'}\n  b: {endpoint: '${B}'}\n  c: {endpoint: 'https://x.example/${C}'}\n"
    )
    assert read_endpoints(file, settings={}) == Endpoints(unset=("A", "B", "C"))
    local = {"A": "http://127.0.0.1:1/x", "B": "http://localhost:2"}
    assert read_endpoints(file, settings=local) == Endpoints(unset=("C",))
    assert read_endpoints(file, settings={**local, "C": "1"}) == Endpoints(real=True)


def test_installed_packages_and_tests_are_not_watched(tmp_path: Path) -> None:
    for name in ("shared/ledger", "node_modules/x", ".venv/lib", "tests/unit", "http_trigger"):
        (tmp_path / name).mkdir(parents=True)
    found = {str(path.relative_to(tmp_path)) for path in find_directories(tmp_path)}
    assert found == {".", "shared", "shared/ledger", "http_trigger"}
