"""Reads the triggers file as YAML 1.2, with the position of every key and value.

The core schema applies: `off`, `yes`, `12:30` and `2027-01-01` are text. Duplicate keys, recursion, tags and several
documents are refused, and so is a file with excessive size or depth.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from shared.config.document import Document, KeyPath, Node, dotted
from shared.core.errors import Problem

MAX_DEPTH = 32
"""Levels of nesting. The format of the triggers file needs six."""
MAX_ALIASED = 10_000
"""Values that aliases may add in total. It is enough for shared defaults and stops an alias bomb early."""

NO_KEY = 'a key must be text; put a value that begins with {{ in quotes: "{{ … }}"'

# The line breaks of YAML 1.1 that YAML 1.2 treats as ordinary characters.
_SEPARATOR = re.compile("[\x85\u2028\u2029]")
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_NUMBER_STARTS = frozenset("+-.0123456789")


class DocumentError(Exception):
    """The file is not YAML, or uses YAML that is refused."""

    problem: Problem
    """The reason, with its position if it is known."""

    def __init__(self, message: str, *, line: int | None = None, column: int | None = None) -> None:
        self.problem = Problem(where="the file", message=message, line=line, column=column)
        super().__init__(message)


def read_document(content: bytes) -> Document:
    """Read a YAML file.

    Args:
        content: The bytes of the file: UTF-8, with or without a byte order mark.

    Raises:
        DocumentError: The file is not YAML, or uses YAML that is refused.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DocumentError(
            f"byte {error.start} is not UTF-8; save the file as UTF-8", line=line, column=1
        ) from None
    if (found := _SEPARATOR.search(text)) is not None:
        # libyaml reads these characters as line breaks, as YAML 1.1 did. It would change a value silently.
        before = text[: found.start()]
        raise DocumentError(
            f"found the invisible line separator U+{ord(found[0]):04X}; remove it, or write it "
            f'as "\\u{ord(found[0]):04x}" in double quotes',
            line=before.count("\n") + 1,
            column=len(before) - before.rfind("\n"),
        )
    try:
        return _Reader(text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        parts = (error.context, error.problem)
        message = ", ".join(part for part in parts if part) or "the reason is unknown"
        raise DocumentError(
            f"not YAML: {message}{_hint(message, before=_line_before(text, mark))}",
            line=mark.line + 1 if mark else None,
            column=mark.column + 1 if mark else None,
        ) from None
    except yaml.reader.ReaderError as error:
        # libyaml's position counts bytes, not characters.
        before = text.encode()[: int(error.position)].decode(errors="ignore")
        raise DocumentError(
            "found a control character, which YAML does not allow; remove it",
            line=before.count("\n") + 1,
            column=len(before) - before.rfind("\n"),
        ) from None


def _line_before(text: str, mark: yaml.Mark | None) -> str:
    """Return the text of a mark's line up to the mark."""
    lines = text.splitlines()
    return lines[mark.line][: mark.column] if mark and mark.line < len(lines) else ""


def _hint(message: str, *, before: str) -> str:
    """Return how to fix one of the most frequent errors, or an empty text."""
    if before.endswith("$"):
        return '; within { } and [ ], ${NAME} must be in quotes: "${NAME}"'
    if "tab character" in message:
        return "; indent with spaces, not tabs"
    if "cannot start any token" in message:
        return "; indent with spaces, not tabs, and put text that begins with @, ` or % in quotes"
    if "alphabetic or numeric" in message:
        return "; text that begins with * or & must be in quotes"
    if "mapping values are not allowed" in message:
        return "; check the indentation of this line and of the one above, and put text with a colon in quotes"
    if "expected key" in message or "block end" in message:
        return "; check the indentation of this line and of the one above"
    if "end of stream" in message:
        return "; close the open quote or bracket"
    return ""


def _position(event: yaml.Event) -> tuple[int, int]:
    """Return line and column of an event's beginning, counted from 1."""
    mark: Any = event.start_mark  # the parser always sets it
    return mark.line + 1, mark.column + 1


class _Reader:
    """Builds the tree of one file from the parser's events.

    PyYAML's own `compose` recurses in C. A file of 100,000 brackets would end the process.
    """

    def __init__(self, text: str) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.CLoader)
        self._anchors: dict[str, Node] = {}
        self._open: set[str] = set()
        self._aliased = 0
        self._problems: list[Problem] = []

    def document(self) -> Document:
        """Read the only document of the file."""
        next(self._events)  # the start of the stream
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            raise DocumentError("the file is empty; it needs at least pipelines and triggers")
        root = self._node(next(self._events), ())
        next(self._events)  # the end of the document
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._error("a second document begins here; a file holds one", event)
        return Document(root=root, problems=tuple(self._problems))

    @staticmethod
    def _error(message: str, event: yaml.Event) -> DocumentError:
        line, column = _position(event)
        return DocumentError(message, line=line, column=column)

    def _node(self, event: yaml.Event, path: KeyPath) -> Node:
        """Build the value that begins with an event."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise self._error("a value is needed here", event)
        if len(path) >= MAX_DEPTH:
            raise self._error(f"values are nested more than {MAX_DEPTH} levels deep", event)
        if event.tag is not None and event.tag != "!":
            raise self._error(f"the tag {event.tag} is not allowed; for text, write quotes", event)
        anchor = event.anchor
        if anchor is not None:
            self._open.add(anchor)
        line, column = _position(event)
        node = Node(line=line, column=column)
        if isinstance(event, yaml.ScalarEvent):
            node.written = event.value
            node.value = (
                self._scalar(event) if event.implicit[0] and event.tag is None else event.value
            )
        elif isinstance(event, yaml.SequenceStartEvent):
            self._fill_list(node, path)
        else:
            self._fill_map(node, path)
        if anchor is not None:
            self._open.discard(anchor)
            self._anchors[anchor] = node
        return node

    def _alias(self, event: yaml.AliasEvent) -> Node:
        name = str(event.anchor)
        if name in self._open:
            raise self._error(
                f"*{name} is inside &{name}; a value cannot contain itself, so write it out", event
            )
        node = self._anchors.get(name)
        if node is None:
            raise self._error(f"*{name} has no &{name} before it; define &{name} first", event)
        self._aliased += node.size
        if self._aliased > MAX_ALIASED:
            raise self._error(f"aliases add more than {MAX_ALIASED} values; use fewer", event)
        return node

    def _fill_list(self, node: Node, path: KeyPath) -> None:
        node.is_list = True
        position = 0
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            item = self._node(event, (*path, position))
            node.items[position] = item
            node.size += item.size
            position += 1

    def _fill_map(self, node: Node, path: KeyPath) -> None:
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error(NO_KEY, event)
            key: str = event.value
            line, column = _position(event)
            item = self._node(next(self._events), (*path, key))
            node.size += item.size
            if key in node.items:
                first, _ = node.keys[key]
                self._problems.append(
                    Problem(
                        where=dotted((*path, key)),
                        message=f"the key is a duplicate of the one in line {first}; remove one of them",
                        line=line,
                        column=column,
                    )
                )
                continue
            node.items[key] = item
            node.keys[key] = (line, column)

    def _scalar(self, event: yaml.ScalarEvent) -> str | bool | int | float | None:
        """Return the value of a plain scalar by the core schema."""
        text: str = event.value
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in _NUMBER_STARTS:
            return text
        if _INTEGER.fullmatch(text):
            try:
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            except ValueError:  # Python reads integers of at most 4,300 digits
                raise self._error("the number is too long; put it in quotes", event) from None
        if _FLOAT.fullmatch(text):
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return text
