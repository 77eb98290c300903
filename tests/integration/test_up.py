"""`dev.py up` as in the tutorial: with the unchanged sample, on this machine only."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from azure.storage.blob import BlobClient

ROOT = Path(__file__).resolve().parents[2]
APP = ["shared", "timer_trigger", "blob_trigger", "http_trigger"]
FILES = ["function_app.py", "host.json", "triggers.yaml", "local.settings.sample.json"]

pytestmark = [pytest.mark.azurite, pytest.mark.runtime, pytest.mark.xdist_group("azurite")]


class Running:
    """An `up` in a folder of its own."""

    def __init__(self, app: Path) -> None:
        self.app = app
        self._output = app / "output.txt"
        command = [sys.executable, "-u", "-m", "cli", "up", "--app", str(app), "--port", "0"]
        with self._output.open("wb") as file:
            self.process = subprocess.Popen(command, stdout=file, stderr=file, cwd=ROOT)

    @property
    def output(self) -> str:
        return self._output.read_text(encoding="utf-8", errors="replace")

    def wait_for(self, pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + 60
        while (found := re.search(pattern, self.output)) is None:
            assert time.monotonic() < deadline, self.output
            assert self.process.poll() is None, self.output
            time.sleep(0.05)
        return found

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    for name in APP:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copy(tmp_path / "local.settings.sample.json", tmp_path / "local.settings.json")
    started = Running(tmp_path)
    yield started
    started.stop()


def test_the_tutorials_first_call_and_upload_start_runs_and_an_excluded_file_says_why(
    running: Running,
) -> None:
    url = running.wait_for(r"the host runs: (http://127\.0\.0\.1:\d+)")[1]
    connection = running.wait_for(r"(DefaultEndpointsProtocol=\S+)")[1]
    running.wait_for("SCORING_ENDPOINT is not set, or still the sample's")
    answer = requests.post(f"{url}/api/v1/triggers/on-demand/submissions", data="{}", timeout=30)
    assert (answer.status_code, answer.json()["state"]) == (202, "submitted")
    running.wait_for(f"the workspace started run {answer.json()['run']['id']}")
    for name in ("incoming/orders.csv", "incoming/notes.txt"):
        with BlobClient.from_connection_string(connection, "azureml-blobstore-local", name) as blob:
            blob.upload_blob(b"1", overwrite=True)
    running.wait_for(r"the workspace started run .*incoming/orders\.csv")
    running.wait_for(r"trigger new-data ignores incoming/notes\.txt: ")
    settings = json.loads((running.app / ".local" / "settings.json").read_text())
    assert settings["SCORING_ENDPOINT"].startswith("http://127.0.0.1:")
    second = subprocess.run(
        [sys.executable, "-m", "cli", "up", "--app", str(running.app), "--port", "0"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert second.returncode == 1
    assert "already runs" in second.stderr
    running.stop()
    assert not (running.app / ".local" / "settings.json").exists()


def test_a_port_that_is_taken_is_reported_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        ran = subprocess.run(
            [sys.executable, "-m", "cli", "up", "--app", str(tmp_path), "--port", port],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert ran.returncode == 1
    assert f"port {port} is taken" in ran.stderr
    assert "use --port" in ran.stderr
    assert not (tmp_path / ".local" / "azurite").exists()
