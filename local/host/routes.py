"""Routes and keys of HTTP functions, as the Functions host sees them.

The host tries routes in the order in which the functions were loaded, not by how specific they are
(azure-functions-host issue 9876), letter case does not count, and a path that matches with another
method is not found.
"""

from __future__ import annotations

import hmac
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from urllib.parse import unquote

from local.host.runtime import AppFailed, Function

MASTER = "master"
DEFAULT = "default"
BLOBS_EXTENSION = "blobs_extension"


class AuthLevel(StrEnum):
    """What a caller needs."""

    ANONYMOUS = "anonymous"
    """Nothing."""
    FUNCTION = "function"
    """The function's key, the host's default key or the master key."""
    ADMIN = "admin"
    """The master key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The host's keys; without any, everything is open, as in Core Tools.

    Attributes:
        values: By function name; besides, `master`, `default` (any function's) and
            `blobs_extension` (the webhook's).
    """

    values: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, file: Path) -> Keys:
        """Read a JSON object of names and keys.

        Raises:
            ValueError: Not one.
        """
        values = json.loads(file.read_text("utf-8"))
        if not isinstance(values, dict) or not all(
            isinstance(key, str) and key for key in values.values()
        ):
            raise ValueError(f"{file}: must be a JSON object of names and keys")
        return cls(values=values)

    def allow(self, given: str | None, *, level: AuthLevel, name: str) -> bool:
        """Tell whether a key opens something of a name (a function, or the webhook)."""
        if not self.values or level is AuthLevel.ANONYMOUS:
            return True
        names = [MASTER] if level is AuthLevel.ADMIN else [MASTER, DEFAULT, name]
        wanted = [self.values[item] for item in names if item in self.values]
        return any(hmac.compare_digest((given or "").encode(), key.encode()) for key in wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRoute:
    """An HTTP function's route.

    Attributes:
        function: The function's name.
        template: The whole path's template, prefix included: `api/v1/items/{name}`.
        pattern: The same as a pattern of the undecoded path.
        methods: Upper-case methods; every method when empty.
        level: What a caller needs.
    """

    function: str
    template: str
    pattern: re.Pattern[str]
    methods: frozenset[str]
    level: AuthLevel

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the route's parameters, decoded, when a request is for this function."""
        found = self.pattern.fullmatch(path.strip("/"))
        if found is None or (self.methods and method not in self.methods):
            return None
        return {
            name: _decode(value) for name, value in found.groupdict().items() if value is not None
        }


def read_routes(functions: Iterable[Function], *, prefix: str) -> list[HostRoute]:
    """Read the routes of all HTTP functions, in their order.

    Raises:
        AppFailed: A route cannot be read.
    """
    routes = []
    for function in functions:
        if function.trigger_type != "httpTrigger":
            continue
        binding = function.trigger
        # A function without a route answers under its own name.
        template = "/".join(
            part for part in (prefix, binding.get("route") or function.name) if part
        )
        routes.append(
            HostRoute(
                function=function.name,
                template=template,
                pattern=_compile(template, function.name),
                methods=frozenset(str(item).upper() for item in binding.get("methods") or ()),
                level=AuthLevel(str(binding.get("authLevel") or "function").lower()),
            )
        )
    return routes


_CONSTRAINTS = {"": "[^/]+", "int": r"-?\d+", "guid": r"[0-9A-Fa-f-]{36}", "alpha": "[A-Za-z]+"}
_PARAMETER = re.compile(r"\{(\*?)([A-Za-z_][A-Za-z0-9_]*)(?::([a-z]+))?(\?)?\}")


def _compile(template: str, function: str) -> re.Pattern[str]:
    pattern = ""
    for index, segment in enumerate(template.strip("/").split("/")):
        slash = "/" if index else ""
        found = _PARAMETER.fullmatch(segment)
        if found is None:
            if "{" in segment or "}" in segment:
                raise AppFailed(
                    f"{function}: the local host cannot read {segment!r} in the route {template!r}"
                )
            pattern += slash + re.escape(segment)
            continue
        everything, name, constraint, optional = found.groups()
        if (constraint or "") not in _CONSTRAINTS:
            raise AppFailed(
                f"{function}: the local host does not know the constraint {constraint!r}"
            )
        value = f"(?P<{name}>{'.*' if everything else _CONSTRAINTS[constraint or '']})"
        pattern += f"(?:{slash}{value})?" if optional or everything else slash + value
    return re.compile(pattern, re.IGNORECASE)


def _decode(segment: str) -> str:
    # The server leaves %2F alone, so that a value can never become two segments.
    return unquote(re.sub("%2f", "%252F", segment, flags=re.IGNORECASE))
