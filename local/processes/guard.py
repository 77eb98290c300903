"""A guard around one child process: it ends the child when the parent process ends, even after SIGKILL.

`child.start` runs `python guard.py <command> …`. Only the parent holds the other end of the pipe that is the guard's
standard input, so the guard reads end-of-file when the parent ends. That works on every Unix and needs no support
in the child. Unlike Linux's PDEATHSIG, it does not depend on the thread that started the child.

The guard is started without `site`, so it may import nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading

GRACE_SECONDS = 5.0
"""How long a child may take to end by itself after its parent has ended."""


def _end_group(child: subprocess.Popen[bytes]) -> None:
    os.killpg(0, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        child.wait(GRACE_SECONDS)
    os.killpg(0, signal.SIGKILL)


def main(command: list[str]) -> int:
    """Run the command until it ends or the parent ends, and return its exit code."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        # The whole group gets the signal. The child decides how it ends, and the guard ends with it.
        signal.signal(number, lambda *_: None)
    try:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:
        print(f"{command[0]} could not be started: {error}", file=sys.stderr, flush=True)
        return 127

    def wait_for_parent() -> None:
        while sys.stdin.buffer.read(4096):
            pass
        _end_group(child)

    threading.Thread(target=wait_for_parent, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    # The thread may be waiting for stdin, and an orderly shutdown would wait for the thread.
    code = main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(code if code >= 0 else 128 - code)
