"""A double of the threads of a tick: each runs at once in the caller's thread."""

from __future__ import annotations

from collections.abc import Callable

from shared.engine.threads import Threads


def start_inline(threads: Threads, work: Callable[[], None], *, name: str) -> bool:  # noqa: ARG001 — as `Threads.start`
    """Run work in the caller's thread, for tests that run thousands of ticks."""
    work()
    return True
