"""Fills app settings into the file's texts: `${NAME}`, first and once; `$${` is a literal `${`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from shared.config.document import Document, Node, Path
from shared.config.problems import Problems, nearest

_SETTING = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
_SECRET_ENDINGS = ("KEY", "SECRET", "PASSWORD", "TOKEN", "CONNECTION")
_SENT = frozenset(
    {"parameters", "data_paths", "datasets", "tags", "properties", "description", "experiment"}
    | {"run_source", "run_type"}
)
"""Keys whose values go to Azure ML, which shows them in the studio."""


class PlaceholderResolver:
    """Reads a document's data with settings filled in.

    Attributes:
        from_settings: Where a setting's value is: nothing of it may be repeated in an error.
    """

    def __init__(
        self, document: Document, *, settings: Mapping[str, str], problems: Problems
    ) -> None:
        self._settings = settings
        self._problems = problems
        self._root = document.root
        self.from_settings: set[Path] = set()

    def data(self) -> Any:  # noqa: ANN401 - whatever the file holds
        """Return the whole file as plain data, without what has no value or no readable one."""
        return self._data(self._root, ())

    def _data(self, node: Node, path: Path) -> Any:  # noqa: ANN401 - whatever the file holds
        if node.written is None:
            below = {key: self._data(item, (*path, key)) for key, item in node.items.items()}
            return list(below.values()) if node.is_list else self._with_values(below, path)
        if isinstance(node.value, str):
            return self._filled(node.value, path) if "${" in node.value else node.value
        if path[2:3] == ("parameters",) and not isinstance(node.value, bool):
            self._check_number(node, path)
        return node.value

    def _with_values(self, below: dict[str | int, Any], path: Path) -> dict[str | int, Any]:
        """Drop and report the keys of a map that have no value; only `http:` may have none."""
        for key in [key for key, value in below.items() if value is None]:
            if path[:1] == ("triggers",) and len(path) == 2 and key == "http":
                below[key] = {}
                continue
            self._problems.add(
                (*path, key), "there is no value; give one, or remove the key", at_key=True
            )
            del below[key]
        return below

    def _check_number(self, node: Node, path: Path) -> None:
        """Refuse a number that would reach Azure ML, which takes text, in another form."""
        sent = str(node.value)
        if node.value is not None and sent != node.written:
            self._problems.add(
                path,
                f"found {node.written}, which is a number and would be sent as {sent}; "
                f'put it in quotes: "{node.written}"',
            )

    def _filled(self, text: str, path: Path) -> str:
        """Return a text with its settings filled in; as it is when that fails."""
        sent = path[:1] in (("pipelines",), ("triggers",)) and path[2:3] and path[2] in _SENT

        def value(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            name = match[1]
            if not match[0].endswith("}") or not _NAME.fullmatch(name):
                raise ValueError(
                    "${ begins the name of an app setting, such as ${SCORING_ENDPOINT}; "
                    "for a literal ${ write $${"
                )
            if sent and name.upper().endswith(_SECRET_ENDINGS):
                raise ValueError(
                    f"the setting {name} looks like a secret, and Azure ML shows this value in the "
                    f"studio; names that end in {', '.join(_SECRET_ENDINGS)} are refused here"
                )
            if name not in self._settings:
                hint = nearest(name, self._settings)
                raise ValueError(
                    f"the app setting {name} does not exist{hint}; "
                    "add it to the app's settings (on a laptop: local.settings.json)"
                )
            self.from_settings.add(path)
            return self._settings[name]

        try:
            return _SETTING.sub(value, text)
        except ValueError as error:
            self._problems.add(path, str(error))
            return text
