"""Fills app settings into the texts of the file: `${NAME}`. `$${` stands for a literal `${`.

Settings are filled in before anything else, and only once: a `${` in a setting's value stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from shared.config.document import Document, KeyPath, Node
from shared.config.problems import Problems
from shared.core.suggestions import did_you_mean

_SETTING = re.compile(r"\$\$\{|\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
_SECRET_ENDINGS = ("KEY", "SECRET", "PASSWORD", "TOKEN", "CONNECTION")
_SENT = frozenset(
    {"parameters", "data_paths", "datasets", "tags", "properties", "description", "experiment"}
    | {"run_source", "run_type"}
)
"""Keys whose values go to Azure ML. The studio shows them to everyone with access to the workspace."""


class PlaceholderResolver:
    """Reads the data of a document and fills app settings in."""

    from_settings: set[KeyPath]
    """The paths of values that came from a setting. A message must not repeat any part of them."""

    def __init__(
        self, document: Document, *, settings: Mapping[str, str], problems: Problems
    ) -> None:
        self._settings = settings
        self._problems = problems
        self._root = document.root
        self.from_settings = set()

    def data(self) -> Any:  # noqa: ANN401 - whatever the file holds
        """Return the whole file as plain data. Keys without a value are reported and left out."""
        return self._data(self._root, ())

    def _data(self, node: Node, path: KeyPath) -> Any:  # noqa: ANN401 - whatever the file holds
        if node.written is None:
            below = {key: self._data(item, (*path, key)) for key, item in node.items.items()}
            return list(below.values()) if node.is_list else self._with_values(below, path)
        if isinstance(node.value, str):
            return self._filled(node.value, path) if "${" in node.value else node.value
        if path[2:3] == ("parameters",) and not isinstance(node.value, bool):
            self._check_number(node, path)
        return node.value

    def _with_values(self, below: dict[str | int, Any], path: KeyPath) -> dict[str | int, Any]:
        """Report and drop the keys of a map that have no value. Only `http:` may have none."""
        for key in [key for key, value in below.items() if value is None]:
            if path[:1] == ("triggers",) and len(path) == 2 and key == "http":
                below[key] = {}
                continue
            self._problems.add(
                (*path, key), "the key has no value; add one, or remove the key", at_key=True
            )
            del below[key]
        return below

    def _check_number(self, node: Node, path: KeyPath) -> None:
        """Refuse a number whose text would change. Azure ML takes parameters as text."""
        sent = str(node.value)
        if node.value is not None and sent != node.written:
            self._problems.add(
                path,
                f"found {node.written}, which is a number and would be sent as {sent}; "
                f'put it in quotes: "{node.written}"',
            )

    def _filled(self, text: str, path: KeyPath) -> str:
        """Return a text with its settings filled in, or the same text if that is not possible."""
        sent = path[:1] in (("pipelines",), ("triggers",)) and path[2:3] and path[2] in _SENT

        def value(match: re.Match[str]) -> str:
            if match[0] == "$${":
                return "${"
            name = match[1]
            if not match[0].endswith("}") or not _NAME.fullmatch(name):
                raise ValueError(
                    "${ must be followed by the name of an app setting and }, such as ${SCORING_ENDPOINT}; "
                    "for a literal ${ write $${"
                )
            if sent and name.upper().endswith(_SECRET_ENDINGS):
                raise ValueError(
                    f"the setting {name} looks like a secret, and Azure ML shows this value in the "
                    f"studio; use a setting whose name does not end in {', '.join(_SECRET_ENDINGS)}"
                )
            if name not in self._settings:
                raise ValueError(
                    f"the app setting {name} does not exist{did_you_mean(name, self._settings)}; "
                    "add it to the app's settings (on a laptop: local.settings.json)"
                )
            self.from_settings.add(path)
            return self._settings[name]

        try:
            return _SETTING.sub(value, text)
        except ValueError as error:
            self._problems.add(path, str(error))
            return text
