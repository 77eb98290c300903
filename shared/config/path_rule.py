"""Which blobs belong to a trigger: a folder, how deep, and what their names look like.

The host's own path pattern is only a first sieve (Event Grid subscriptions may be wider than it),
so every blob is matched again here. All comparisons are case-sensitive, as blob names are.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache


@cache
def _pattern(text: str) -> re.Pattern[str]:
    """Compile a glob once; the file's globs are few and live as long as the process."""
    return re.compile(glob.translate(text, recursive=True, include_hidden=True, seps="/"))


def _matching(globs: Sequence[str], below: str) -> str | None:
    """Return the first glob that the whole of `below` matches."""
    return next((text for text in globs if _pattern(text).match(below)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """The first condition that a blob fails.

    Attributes:
        condition: The key of the triggers file that says no: `path`, `recursive`, `include` or `exclude`.
        value: What was held against it.
        reason: One sentence.
    """

    condition: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class PathRule:
    """Where the blobs of a trigger lie and what they are called.

    Attributes:
        path: Folder below the container, without slashes at its ends; `""` is the whole container.
        recursive: Whether blobs in sub-folders count too; only direct children do by default.
        include: Globs against the path below `path`, at least one of which must match; none means
            everything. `*` stays in a folder, `**/*.csv` is any depth, none included.
        exclude: Globs, none of which may match; they win over `include`.
    """

    path: str
    recursive: bool = field(default=False, kw_only=True)
    include: tuple[str, ...] = field(default=(), kw_only=True)
    exclude: tuple[str, ...] = field(default=(), kw_only=True)

    def mismatch(self, blob_path: str) -> Mismatch | None:
        """Say why a blob does not belong to the trigger.

        Args:
            blob_path: The blob's whole name below the container, raw.

        Returns:
            None when it matches; else the first condition that fails.
        """
        found = self._mismatch(blob_path)
        if found is None:
            return None
        condition, value, reason = found
        return Mismatch(condition=condition, value=value, reason=reason)

    def _mismatch(self, blob_path: str) -> tuple[str, str, str] | None:
        folder = self.path or "the container"
        if not blob_path or blob_path.endswith("/") or blob_path == self.path:
            return "path", blob_path, f"{blob_path or 'the container'} is a folder, not a blob"
        prefix = f"{self.path}/" if self.path else ""
        if not blob_path.startswith(prefix):
            return "path", blob_path, f"{blob_path} does not lie in {folder}"
        below = blob_path.removeprefix(prefix)
        if "/" in below and not self.recursive:
            reason = f"{blob_path} lies in a sub-folder of {folder} and recursive is off"
            return "recursive", blob_path, reason
        if self.include and _matching(self.include, below) is None:
            reason = f"{below} matches nothing in include ({', '.join(self.include)})"
            return "include", below, reason
        excluded = _matching(self.exclude, below)
        if excluded is not None:
            return "exclude", below, f"{below} matches {excluded} in exclude"
        return None

    def binding_path(self, container: str) -> str:
        """Return the path of the Functions blob binding: as narrow as the host's patterns allow.

        `{name}` matches nested paths too (webjobs-sdk: it becomes `.*`), so one pattern serves both
        kinds of depth.
        """
        return f"{container}/{self.path}/{{name}}" if self.path else f"{container}/{{name}}"
