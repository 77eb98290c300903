"""Collects the mistakes of a triggers file: where, what was found, what is allowed, what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable

from shared.config.document import Document, Path, dotted
from shared.core.errors import Problem

_SHOWN = 60
"""Characters of a value that a message repeats at most."""

# A secret that somebody wrote into the file by mistake must not reach a log either.
_SECRET = re.compile(r"AccountKey=|SharedAccess|[?&;](?:sig|code)=|//[^/\s]*@", re.IGNORECASE)


class Problems:
    """The mistakes found so far, one for each place: later ones follow from the first."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._found: dict[Path, Problem] = {}
        self._others: list[Problem] = list(document.problems)

    def __bool__(self) -> bool:
        return bool(self._found or self._others)

    def has(self, path: Path) -> bool:
        """Whether there is a mistake at exactly that place."""
        return path in self._found

    def at(self, path: Path) -> str:
        """Return the message of the mistake at a place."""
        return self._found[path].message

    @property
    def places(self) -> frozenset[Path]:
        """Where the mistakes are."""
        return frozenset(self._found)

    def add(self, path: Path, message: str, *, at_key: bool = False) -> None:
        """Report a mistake.

        Args:
            path: Where it is; a place that does not exist (a missing key) counts as what is above
                it.
            message: One sentence, which never repeats a value that came from a setting.
            at_key: Whether the key is wrong, not its value.
        """
        if path in self._found:
            return
        document = self._document
        line, column = document.place(path) if at_key else document.value_place(path)
        self._found[path] = Problem(where=dotted(path), message=message, line=line, column=column)

    def add_setting(self, name: str, message: str) -> None:
        """Report a mistake of an app setting itself."""
        self._others.append(Problem(where=f"app setting {name}", message=message))

    def found(self, path: Path) -> str:
        """Return what stands at a place, as the file wrote it: `${NAME}` stays `${NAME}`."""
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
        """Return all mistakes in the file's order."""
        return sorted(
            [*self._others, *self._found.values()],
            key=lambda problem: (problem.line or 0, problem.column or 0),
        )


def nearest(name: str, known: Iterable[str]) -> str:
    """Return ` (did you mean x?)` for the known name that is most like another, or nothing."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def report_unknown(
    where: Path, name: str, *, known: Collection[str], what: str, problems: Problems
) -> None:
    """Report a name that the file does not declare."""
    declared = ", ".join(known) or "none"
    problems.add(
        where,
        f"found {problems.found(where)}; there is no such {what}{nearest(name, known)}; "
        f"declared under {what}s: {declared}",
    )
