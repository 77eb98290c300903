"""A double of the Functions runtime: it records the calls of functions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from local.host.runtime import Result, Runtime


class RecordingRuntime(Runtime):
    """A runtime that records each call instead of calling a function.

    Args:
        failures: How many of the first calls fail.
        during: Runs during each call.
    """

    def __init__(self, *, failures: int = 0, during: Callable[[], None] = lambda: None) -> None:
        self.calls: list[dict[str, Any]] = []
        """The options of each call, and the function's name."""
        self._failures = failures
        self._during = during
        self._lock = threading.Lock()

    def invoke_timer(self, name: str, **options: Any) -> Result:  # noqa: ANN401 — any of the runtime's options
        """Record a call of a timer function."""
        return self._record(name, options)

    def invoke_blob(self, name: str, **options: Any) -> Result:  # noqa: ANN401 — the same
        """Record a call of a blob function."""
        return self._record(name, options)

    def _record(self, name: str, options: dict[str, Any]) -> Result:
        with self._lock:
            self.calls.append({"name": name, **options})
            failed = len(self.calls) <= self._failures
        self._during()
        return Result(ok=not failed, error="ValueError: no" if failed else None)
