"""Child processes of the local stack: start with a log, wait until ready, stop by process id.

Each child runs under a guard (`guard.py`) in its own process group. It ends when its parent ends, and stopping it also
stops the processes that it started. Nothing is ever stopped by name.
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
"""How many lines of a log an error shows."""


class ChildFailed(Exception):
    """A child ended, or was not ready in time. The message shows the end of its log."""

    def __init__(self, message: str, *, code: int | None, output: str) -> None:
        self.code = code
        """The exit code, or None if the child was still running."""
        self.output = output
        """Everything that the child wrote."""
        tail = "\n".join(f"    {line}" for line in output.splitlines()[-LAST_LINES:])
        super().__init__(f"{message}\n{tail}" if tail else f"{message}; it wrote nothing")


class Child:
    """A running child process."""

    def __init__(
        self, process: subprocess.Popen[bytes], *, name: str, log: Path, start: int
    ) -> None:
        self._process = process
        self._start = start
        self.name = name
        """The name of the child in messages."""
        self.log = log
        """The file with its standard output and standard error, in order."""

    @property
    def pid(self) -> int:
        """The process id of the guard, which is also the id of the process group."""
        return self._process.pid

    @property
    def code(self) -> int | None:
        """The exit code, or None while the child runs."""
        return self._process.poll()

    @property
    def output(self) -> str:
        """Everything that the child has written since it was started."""
        with self.log.open("rb") as file:
            file.seek(self._start)
            return file.read().decode("utf-8", "replace")

    def stop(self, *, grace: timedelta = timedelta(seconds=5)) -> None:
        """Ask the child and its own children to end, and kill those that still run after `grace`. Idempotent."""
        self._signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(grace.total_seconds())
        self.kill()

    def kill(self) -> None:
        """Kill the child and its own children at once. Idempotent."""
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
            # The group is empty. (macOS answers "not permitted" for a group that holds only zombies.)
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
        name: The name of the child in messages.
        log: The log file. Output is appended, so that a restart keeps older output.
        ready: Called with everything the child has written. Returns None until the child is ready, then a result.
        within: The longest wait.
        env: The child's environment. None means the parent's.
        cwd: The child's working directory. None means the parent's.

    Returns:
        The child, and the result of `ready`.

    Raises:
        ChildFailed: The child ended, or was not ready in time and has been stopped.
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
        # The order matters: output that a child wrote just before it ended must still be read.
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
