"""A base class for objects that run until they are closed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Self


class Closeable(ABC):
    """An object that a `with` statement closes."""

    @abstractmethod
    def close(self) -> None:
        """Release everything the object holds. Idempotent."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
