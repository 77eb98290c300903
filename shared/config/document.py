"""A YAML file as a tree that knows where everything stands.

YAML 1.2's core schema: `off`, `yes`, `12:30` and `2027-01-01` are text. Duplicate keys, recursion,
tags, several documents and anything whose size or depth is out of proportion are refused. PyYAML's
C parser is read event by event: its `compose` recurses in C and ends the process on a file of
100,000 brackets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from shared.core.errors import Problem

MAX_DEPTH = 32
"""Levels of nesting; the file itself needs six."""
MAX_ALIASED = 10_000
"""Values that aliases may add: enough to share defaults, far below an alias bomb."""

type Path = tuple[str | int, ...]
"""Where a value stands: keys of maps and positions in lists."""

NO_KEY = 'a key must be text; a value that begins with {{ must be in quotes: "{{ … }}"'

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


@dataclass(slots=True, kw_only=True)
class Node:
    """A value and where it stands.

    Attributes:
        line: 1-based line.
        column: 1-based column.
        value: A scalar's value.
        written: A scalar as the file wrote it.
        keys: A map's keys, each with its line and column.
        items: A map's values by key, or a list's by position.
        is_list: Whether it is a list.
        size: How many values it holds, itself included.
    """

    line: int
    column: int
    value: str | bool | int | float | None = None
    written: str | None = None
    keys: dict[str, tuple[int, int]] = field(default_factory=dict)
    items: dict[str | int, Node] = field(default_factory=dict)
    is_list: bool = False
    size: int = 1

    def data(self) -> Any:  # noqa: ANN401 - whatever the file holds
        """Return the value as plain Python data."""
        if self.written is not None:
            return self.value
        if self.is_list:
            return [item.data() for item in self.items.values()]
        return {key: item.data() for key, item in self.items.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file that could be read.

    Attributes:
        root: The outermost value.
        problems: Mistakes that did not keep it from being read, such as duplicate keys.
    """

    root: Node
    problems: tuple[Problem, ...] = ()

    def find(self, path: Path) -> Node | None:
        """Return the value at a path, or None when there is none."""
        node: Node | None = self.root
        for part in path:
            node = node.items.get(part) if node is not None else None
        return node

    def place(self, path: Path) -> tuple[int, int]:
        """Return line and column of a path's key, or of what is nearest above."""
        node, place = self.root, (self.root.line, self.root.column)
        for part in path:
            below = node.items.get(part)
            if below is None:
                break
            place = node.keys.get(str(part), (below.line, below.column))
            node = below
        return place

    def value_place(self, path: Path) -> tuple[int, int]:
        """Return line and column of the value at a path, or of what is nearest above."""
        node = self.find(path)
        return (node.line, node.column) if node is not None else self.place(path)


class DocumentError(Exception):
    """The file is no YAML that can be read.

    Attributes:
        problem: Why, and where.
    """

    def __init__(self, message: str, *, line: int | None = None, column: int | None = None) -> None:
        self.problem = Problem(where="the file", message=message, line=line, column=column)
        super().__init__(message)


def dotted(path: Path) -> str:
    """Return a path as people write it: `triggers.new-data.blob.include[0]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "the file"


def read_document(content: bytes) -> Document:
    """Read a YAML file.

    Args:
        content: The file's bytes, UTF-8 with or without a byte order mark.

    Raises:
        DocumentError: It is no YAML, or YAML that is refused.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DocumentError(
            f"byte {error.start} is not UTF-8; save the file as UTF-8", line=line, column=1
        ) from None
    if (found := _SEPARATOR.search(text)) is not None:
        # libyaml reads them as line breaks, as YAML 1.1 did: a value would change without a word.
        before = text[: found.start()]
        raise DocumentError(
            f"the invisible line separator U+{ord(found[0]):04X} stands here; remove it, or write it "
            f'as "\\u{ord(found[0]):04x}" in double quotes',
            line=before.count("\n") + 1,
            column=len(before) - before.rfind("\n"),
        )
    try:
        return _Reader(text).document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        parts = (error.context, error.problem)
        message = ", ".join(part for part in parts if part) or "it cannot be read"
        raise DocumentError(
            f"not YAML: {message}{_hint(message, before=_line_before(text, mark))}",
            line=mark.line + 1 if mark else None,
            column=mark.column + 1 if mark else None,
        ) from None
    except yaml.reader.ReaderError as error:
        # libyaml counts bytes.
        before = text.encode()[: int(error.position)].decode(errors="ignore")
        raise DocumentError(
            "a control character stands here, which YAML does not allow",
            line=before.count("\n") + 1,
            column=len(before) - before.rfind("\n"),
        ) from None


def _line_before(text: str, mark: yaml.Mark | None) -> str:
    """Return a line's text up to a mark."""
    lines = text.splitlines()
    return lines[mark.line][: mark.column] if mark and mark.line < len(lines) else ""


def _hint(message: str, *, before: str) -> str:
    """Say what to do about the mistakes that people make most."""
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
        return "; a quote or bracket that was opened is not closed"
    return ""


def _place(event: yaml.Event) -> tuple[int, int]:
    """Return where an event begins: 1-based line and column."""
    mark: Any = event.start_mark  # the parser always sets it
    return mark.line + 1, mark.column + 1


class _Reader:
    """Builds the tree of one file from the parser's events."""

    def __init__(self, text: str) -> None:
        self._events: Iterator[yaml.Event] = yaml.parse(text, Loader=yaml.CLoader)
        self._anchors: dict[str, Node] = {}
        self._open: set[str] = set()
        self._aliased = 0
        self._problems: list[Problem] = []

    def document(self) -> Document:
        """Read the one document that there must be."""
        next(self._events)  # the stream's start
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            raise DocumentError("the file is empty; it needs at least pipelines and triggers")
        root = self._node(next(self._events), ())
        next(self._events)  # the document's end
        event = next(self._events)
        if not isinstance(event, yaml.StreamEndEvent):
            raise self._error("a second document begins here; a file holds one", event)
        return Document(root=root, problems=tuple(self._problems))

    @staticmethod
    def _error(message: str, event: yaml.Event) -> DocumentError:
        line, column = _place(event)
        return DocumentError(message, line=line, column=column)

    def _node(self, event: yaml.Event, path: Path) -> Node:
        """Build the value that begins with an event."""
        if isinstance(event, yaml.AliasEvent):
            return self._alias(event)
        if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            raise self._error("a value must stand here", event)
        if len(path) >= MAX_DEPTH:
            raise self._error(f"nested more than {MAX_DEPTH} levels deep", event)
        if event.tag is not None and event.tag != "!":
            raise self._error(f"the tag {event.tag} is not allowed; for text, write quotes", event)
        anchor = event.anchor
        if anchor is not None:
            self._open.add(anchor)
        line, column = _place(event)
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
            raise self._error(f"*{name} stands inside &{name}: a value cannot hold itself", event)
        node = self._anchors.get(name)
        if node is None:
            raise self._error(f"*{name} has no &{name} before it", event)
        self._aliased += node.size
        if self._aliased > MAX_ALIASED:
            raise self._error(f"aliases add more than {MAX_ALIASED} values", event)
        return node

    def _fill_list(self, node: Node, path: Path) -> None:
        node.is_list = True
        position = 0
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            item = self._node(event, (*path, position))
            node.items[position] = item
            node.size += item.size
            position += 1

    def _fill_map(self, node: Node, path: Path) -> None:
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                raise self._error(NO_KEY, event)
            key: str = event.value
            line, column = _place(event)
            item = self._node(next(self._events), (*path, key))
            node.size += item.size
            if key in node.items:
                first, _ = node.keys[key]
                self._problems.append(
                    Problem(
                        where=dotted((*path, key)),
                        message=f"the key stands here a second time, first in line {first}; "
                        "remove one of them",
                        line=line,
                        column=column,
                    )
                )
                continue
            node.items[key] = item
            node.keys[key] = (line, column)

    def _scalar(self, event: yaml.ScalarEvent) -> str | bool | int | float | None:
        """Return a plain scalar's value by the core schema."""
        text: str = event.value
        if text in _WORDS:
            return _WORDS[text]
        if text[0] not in _NUMBER_STARTS:
            return text
        if _INTEGER.fullmatch(text):
            try:
                return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
            except ValueError:  # Python reads numbers of at most 4,300 digits
                raise self._error("the number is too long; put it in quotes", event) from None
        if _FLOAT.fullmatch(text):
            return float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
        return text
