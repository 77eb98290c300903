"""The triggers file as a tree in which each value has its line and column."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from shared.core.errors import Problem

type KeyPath = tuple[str | int, ...]
"""The keys of maps and the positions in lists that lead to a value."""


@dataclass(slots=True, kw_only=True)
class Node:
    """A value and its position in the file."""

    line: int
    """The line, counted from 1."""
    column: int
    """The column, counted from 1."""
    value: str | bool | int | float | None = None
    """The value of a scalar."""
    written: str | None = None
    """The text of a scalar in the file. None for maps and lists."""
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    """The keys of a map, each with its line and column."""
    items: dict[str | int, Node] = field(default_factory=dict)
    """The values of a map by key, or those of a list by position."""
    is_list: bool = False
    """Whether it is a list."""
    size: int = 1
    """The number of values in it, including itself."""

    def data(self) -> Any:  # noqa: ANN401 - whatever the file holds
        """Return the value as plain Python data."""
        if self.written is not None:
            return self.value
        if self.is_list:
            return [item.data() for item in self.items.values()]
        return {key: item.data() for key, item in self.items.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file that is valid YAML."""

    root: Node
    """The outermost value."""
    problems: tuple[Problem, ...] = ()
    """Problems that leave the rest of the file readable, such as duplicate keys."""

    def find(self, path: KeyPath) -> Node | None:
        """Return the value at a path, or None if the file has none."""
        node: Node | None = self.root
        for part in path:
            node = node.items.get(part) if node is not None else None
        return node

    def key_position(self, path: KeyPath) -> tuple[int, int]:
        """Return line and column of the key at a path, or of the nearest key above that the file has."""
        node, position = self.root, (self.root.line, self.root.column)
        for part in path:
            below = node.items.get(part)
            if below is None:
                break
            position = node.keys.get(str(part), (below.line, below.column))
            node = below
        return position

    def value_position(self, path: KeyPath) -> tuple[int, int]:
        """Return line and column of the value at a path, or of the nearest key above that the file has."""
        node = self.find(path)
        return (node.line, node.column) if node is not None else self.key_position(path)


def dotted(path: KeyPath) -> str:
    """Return a path as messages show it, such as `triggers.new-data.blob.include[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"
