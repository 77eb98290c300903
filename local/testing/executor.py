"""A double of a thread pool: it runs each task at once in the caller's thread."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any


class InlineExecutor(Executor):
    """An executor without threads, for tests that run thousands of ticks.

    Args:
        max_workers: Ignored, as is everything else that a thread pool takes.
    """

    def __init__(self, max_workers: int | None = None, thread_name_prefix: str = "") -> None:
        self._ignored = (max_workers, thread_name_prefix)

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run a task and return its finished future."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 — it belongs to the future, as in a thread pool
            future.set_exception(error)
        return future
