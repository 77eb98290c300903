"""Threads of this process that a tick starts, and may leave behind.

A call to Azure ML can hang for two minutes. A tick does not wait for it: the thread goes on by itself and records the
outcome, protected by the submission's lease. The threads are daemons, so that they do not keep a process from ending.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import copy_context

LIMIT = 64
"""Threads at a time. It is far above the calls that `clients.circuit` lets hang, so that a tick always finds some."""


class Threads:
    """Starts threads, at most so many at a time.

    Args:
        limit: How many.
    """

    def __init__(self, *, limit: int = LIMIT) -> None:
        self._free = threading.BoundedSemaphore(limit)

    def start(self, work: Callable[[], None], *, name: str) -> bool:
        """Run work in a thread, in a copy of the caller's context. False: all threads are in use."""
        if not self._free.acquire(blocking=False):
            return False
        context = copy_context()

        def run() -> None:
            try:
                context.run(work)
            finally:
                self._free.release()

        threading.Thread(target=run, name=name, daemon=True).start()
        return True
