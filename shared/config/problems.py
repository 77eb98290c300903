"""Collects the problems of a triggers file: where, what was found, what is allowed, how to fix it."""

from __future__ import annotations

import re
from collections.abc import Collection

from shared.config.document import Document, KeyPath, dotted
from shared.core.errors import Problem
from shared.core.suggestions import did_you_mean

_SHOWN = 60
"""Characters of a value that a message repeats at most."""

# The file may hold a secret by accident. It must not reach a message or a log.
_SECRET = re.compile(r"AccountKey=|SharedAccess|[?&;](?:sig|code)=|//[^/\s]*@", re.IGNORECASE)


class Problems:
    """The problems found so far. Each path has at most one, since later ones tend to result from the first."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._by_path: dict[KeyPath, Problem] = {}
        self._others: list[Problem] = list(document.problems)

    def __bool__(self) -> bool:
        return bool(self._by_path or self._others)

    def has(self, path: KeyPath) -> bool:
        """Return whether exactly this path has a problem."""
        return path in self._by_path

    def add(self, path: KeyPath, message: str, *, at_key: bool = False) -> None:
        """Add a problem, unless the path already has one.

        Args:
            path: The value or key. If the file does not have it, the position is that of the nearest key above.
            message: One sentence. It never repeats a value that came from an app setting.
            at_key: Whether the key is wrong, and not its value.
        """
        if path in self._by_path:
            return
        document = self._document
        line, column = document.key_position(path) if at_key else document.value_position(path)
        self._by_path[path] = Problem(where=dotted(path), message=message, line=line, column=column)

    def add_found(self, path: KeyPath, message: str) -> None:
        """Add a problem of a value. The message starts with the value: `found 5; text is needed`."""
        self.add(path, f"found {self.shown(path)}; {message}")

    def add_unknown(
        self, path: KeyPath, name: str, *, declared: Collection[str], kind: str
    ) -> None:
        """Add a problem of a value that names something the file does not declare.

        Args:
            path: The value.
            name: The name, with app settings filled in.
            declared: The names that the file declares.
            kind: What the name stands for, such as `pipeline`. The section's name is its plural.
        """
        names = ", ".join(declared) or "none"
        self.add_found(
            path,
            f"there is no such {kind}{did_you_mean(name, declared)}; declared under {kind}s: {names}",
        )

    def add_setting(self, name: str, message: str) -> None:
        """Add a problem of an app setting itself."""
        self._others.append(Problem(where=f"app setting {name}", message=message))

    def shown(self, path: KeyPath) -> str:
        """Return the value at a path for a message, as the file has it: `${NAME}` stays `${NAME}`."""
        node = self._document.find(path)
        if node is None:
            return "nothing"
        if node.written is None:
            return "a list" if node.is_list else "a map"
        if not node.written:
            return "nothing" if node.value is None else '""'
        if _SECRET.search(node.written):
            return "a value that is not shown, because it looks like a secret"
        text = node.written.replace("\n", " ")
        return text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…"

    def in_order(self) -> list[Problem]:
        """Return all problems in the order of the file."""
        return sorted(
            [*self._others, *self._by_path.values()],
            key=lambda problem: (problem.line or 0, problem.column or 0),
        )
