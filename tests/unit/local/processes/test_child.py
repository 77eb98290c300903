"""Child processes: ready, failed at the start, stopped, and ended with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from datetime import timedelta
from pathlib import Path

import pytest

from local.processes import child as processes
from local.standins.azurite import ROOT

SLEEP = "import time; print('ready', flush=True); time.sleep(600)"


def is_ready(output: str) -> bool | None:
    return True if "ready" in output else None


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A zombie: its parent may not have waited for it yet.
    status = Path(f"/proc/{pid}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] == "Z"


def wait_gone(pid: int) -> None:
    for _ in range(1000):
        if is_gone(pid):
            return
        time.sleep(0.01)
    pytest.fail(f"{pid} still runs")


def start(code: str, log: Path, within: timedelta = timedelta(seconds=30)) -> processes.Child:
    command = [sys.executable, "-c", textwrap.dedent(code)]
    return processes.start(command, name="it", log=log, ready=is_ready, within=within)[0]


def test_a_child_is_ready_when_its_output_says_so_and_stops(tmp_path: Path) -> None:
    child = start(SLEEP, tmp_path / "logs" / "it.log")
    assert child.code is None
    child.stop()
    assert child.code is not None
    child.stop()
    assert child.output == "ready\n"


def test_a_child_that_ends_at_the_start_is_an_error_with_its_last_lines(tmp_path: Path) -> None:
    with pytest.raises(processes.ChildFailed) as raised:
        start("import sys; print('the reason'); sys.exit(3)", tmp_path / "it.log")
    assert raised.value.code == 3
    assert "it ended with code 3 before it was ready" in str(raised.value)
    assert str(raised.value).endswith("    the reason")


def test_a_missing_program_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(processes.ChildFailed, match="could not be started"):
        processes.start(["/nothing/here"], name="it", log=tmp_path / "it.log", ready=is_ready)


def test_a_child_that_is_never_ready_is_killed(tmp_path: Path) -> None:
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with pytest.raises(processes.ChildFailed, match=r"not ready within 0\.5 s") as raised:
        start(code, tmp_path / "it.log", within=timedelta(seconds=0.5))
    if raised.value.output.strip():
        wait_gone(int(raised.value.output))


def test_a_child_that_ignores_sigterm_is_killed_with_its_own_children(tmp_path: Path) -> None:
    code = """
        import signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        print("ready", child.pid, flush=True)
        time.sleep(600)
    """
    child = start(code, tmp_path / "it.log")
    grandchild = int(child.output.split()[1])
    child.stop(grace=timedelta(seconds=0.1))
    wait_gone(grandchild)


def test_a_child_ends_if_its_parent_is_killed(tmp_path: Path) -> None:
    code = f"""
        import os, sys, time
        from pathlib import Path
        from local.processes import child as processes
        child, pid = processes.start(
            [sys.executable, "-c", "import os, time; print(os.getpid(), flush=True); time.sleep(600)"],
            name="it", log=Path({str(tmp_path / "it.log")!r}), ready=lambda text: text.strip() or None)
        print(child.pid, pid, flush=True)
        time.sleep(600)
    """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        guard, child = (int(text) for text in parent.stdout.readline().split())
        parent.send_signal(signal.SIGKILL)
    wait_gone(child)
    wait_gone(guard)
