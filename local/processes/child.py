"""Child processes of the local stack: started with a log, watched until ready, stopped by id.

Each child runs under a guard (`guard.py`) in a process group of its own: it dies with its parent,
and stopping it stops whatever it started itself. Never stops anything by name.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

GUARD = Path(__file__).with_name("guard.py")
LAST_LINES = 20
"""How much of a log an error shows."""


class ChildFailed(Exception):
    """A child ended, or was not ready in time; the message shows the end of its log."""

    def __init__(self, message: str, *, code: int | None, output: str) -> None:
        self.code = code
        self.output = output
        tail = "\n".join(f"    {line}" for line in output.splitlines()[-LAST_LINES:])
        super().__init__(f"{message}\n{tail}" if tail else f"{message}; it wrote nothing")


class Child:
    """A running child process.

    Attributes:
        name: What messages call it.
        log: The file with everything it writes, standard output and error in their order.
    """

    def __init__(
        self, process: subprocess.Popen[bytes], *, name: str, log: Path, start: int
    ) -> None:
        self._process = process
        self._start = start
        self.name = name
        self.log = log

    @property
    def pid(self) -> int:
        """The guard's process id, which is also the id of the process group."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code, None while it runs."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """What it has written since it was started."""
        with self.log.open("rb") as file:
            file.seek(self._start)
            return file.read().decode("utf-8", "replace")

    def stop(self, *, grace: timedelta = timedelta(seconds=5)) -> None:
        """Ask the child and what it started to end; kill what is left after it. Idempotent."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace.total_seconds())
        self.kill()

    def kill(self) -> None:
        """Kill the child and everything it started, at once. Idempotent."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is not None and number is signal.SIGTERM:
            return
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            # The group is empty. (macOS says "not permitted" of a group that holds only zombies.)
            return


def start[T](
    command: Sequence[str | Path],
    *,
    name: str,
    log: Path,
    ready: Callable[[str], T | None],
    within: timedelta = timedelta(seconds=30),
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> tuple[Child, T]:
    """Start a child and wait until it is ready.

    Args:
        command: The program and its arguments.
        name: What messages call it.
        log: Its log; appended to, so that a restart keeps what was there.
        ready: Reads what the child has written so far; returns what it tells when it is ready, else
            None.
        within: The longest wait.
        env: Its environment; the parent's when None.
        cwd: Its working directory; the parent's when None.

    Returns:
        The child, and what `ready` returned.

    Raises:
        ChildFailed: It ended, or was not ready in time; then it has been stopped.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", GUARD, *command],
            stdin=subprocess.PIPE,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=None if env is None else dict(env),
            cwd=cwd,
            process_group=0,
        )
        child = Child(process, name=name, log=log, start=file.tell())
    try:
        return child, _wait(child, ready, within)
    except BaseException:
        child.kill()
        raise


def _wait[T](child: Child, ready: Callable[[str], T | None], within: timedelta) -> T:
    deadline = time.monotonic() + within.total_seconds()
    while True:
        # In this order: what a child wrote just before it ended is still read.
        code, output = child.code, child.output
        if (found := ready(output)) is not None:
            return found
        if code is not None:
            message = f"{child.name} ended with code {code} before it was ready."
            raise ChildFailed(f"{message} Its log ({child.log}) ends:", code=code, output=output)
        if time.monotonic() > deadline:
            message = f"{child.name} was not ready within {within.total_seconds():g} s."
            raise ChildFailed(f"{message} Its log ({child.log}) ends:", code=None, output=output)
        time.sleep(0.02)
