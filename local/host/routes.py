"""Routes and keys of HTTP functions, with the rules of the Functions host.

The host tries routes in the order in which the functions were loaded, not by how specific they are
(azure-functions-host issue 9876). Letter case does not matter. If a path matches but the method does not, the answer is
404.
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
    """The key that a caller needs."""

    ANONYMOUS = "anonymous"
    """No key."""
    FUNCTION = "function"
    """The function's key, the host's default key or the master key."""
    ADMIN = "admin"
    """The master key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The host's keys. If there are none, every call is allowed, as in Core Tools."""

    values: Mapping[str, str] = field(default_factory=dict)
    """The keys by function name, and also `master`, `default` (for all functions) and `blobs_extension` (webhook)."""

    @classmethod
    def read(cls, file: Path) -> Keys:
        """Read the keys from a JSON object of names and keys.

        Raises:
            ValueError: The file is not such an object.
        """
        values = json.loads(file.read_text("utf-8"))
        if not isinstance(values, dict) or not all(
            isinstance(key, str) and key for key in values.values()
        ):
            raise ValueError(f"{file}: must be a JSON object of names and keys")
        return cls(values=values)

    def allow(self, given: str | None, *, level: AuthLevel, name: str) -> bool:
        """Return whether a call is allowed.

        Args:
            given: The caller's key, or None if there is none.
            level: The key that the call needs.
            name: The function, or the webhook's name.
        """
        if not self.values or level is AuthLevel.ANONYMOUS:
            return True
        names = [MASTER] if level is AuthLevel.ADMIN else [MASTER, DEFAULT, name]
        wanted = [self.values[item] for item in names if item in self.values]
        return any(hmac.compare_digest((given or "").encode(), key.encode()) for key in wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class HostRoute:
    """The route of an HTTP function."""

    function: str
    """The function's name."""
    template: str
    """The template of the whole path with its prefix: `api/v1/items/{name}`."""
    pattern: re.Pattern[str]
    """The template as a pattern for the encoded path."""
    methods: frozenset[str]
    """The methods in upper case. If empty, every method matches."""
    level: AuthLevel
    """The key that a caller needs."""

    def match(self, method: str, path: str) -> dict[str, str] | None:
        """Return the decoded parameters if a request is for this function, else None."""
        found = self.pattern.fullmatch(path.strip("/"))
        if found is None or (self.methods and method not in self.methods):
            return None
        return {
            name: _decode(value) for name, value in found.groupdict().items() if value is not None
        }


def read_routes(functions: Iterable[Function], *, prefix: str) -> list[HostRoute]:
    """Return the routes of all HTTP functions in load order.

    Raises:
        AppFailed: A route cannot be read.
    """
    routes = []
    for function in functions:
        if function.trigger_type != "httpTrigger":
            continue
        binding = function.trigger
        # The route of a function without a route is its own name.
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
                    f"{function}: the local host cannot read the part {segment!r} of the route {template!r}"
                )
            pattern += slash + re.escape(segment)
            continue
        everything, name, constraint, optional = found.groups()
        if (constraint or "") not in _CONSTRAINTS:
            raise AppFailed(
                f"{function}: the local host does not know the constraint {constraint!r}; it knows "
                f"{', '.join(filter(None, _CONSTRAINTS))}"
            )
        value = f"(?P<{name}>{'.*' if everything else _CONSTRAINTS[constraint or '']})"
        pattern += f"(?:{slash}{value})?" if optional or everything else slash + value
    return re.compile(pattern, re.IGNORECASE)


def _decode(segment: str) -> str:
    # The real server does not decode %2F, so that a value never becomes two segments.
    return unquote(re.sub("%2f", "%252F", segment, flags=re.IGNORECASE))
