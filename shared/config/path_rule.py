"""Which blobs match a trigger: their folder, the depth below it, and their names.

The path pattern of the host's binding is only a coarse filter, and an Event Grid subscription may be wider than it. So
every blob is matched again here. All comparisons are case-sensitive, as the names of blobs are.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache


# Without a bound, because the file has few globs and they live as long as the process.
@cache
def _pattern(text: str) -> re.Pattern[str]:
    """Return the regular expression of a glob."""
    return re.compile(glob.translate(text, recursive=True, include_hidden=True, seps="/"))


def _matching(globs: Sequence[str], below: str) -> str | None:
    """Return the first glob that matches the whole of `below`, or None."""
    return next((text for text in globs if _pattern(text).match(below)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """The first condition that a blob does not meet."""

    condition: str
    """The key of the triggers file with the condition: `path`, `recursive`, `include` or `exclude`."""
    value: str
    """The part of the blob's path that was compared with it."""
    reason: str
    """One sentence."""


@dataclass(frozen=True, slots=True)
class PathRule:
    """The folder of a trigger's blobs, and the patterns for their names."""

    path: str
    """The folder below the container, without slashes at its ends. Empty: the whole container."""
    recursive: bool = field(default=False, kw_only=True)
    """Whether blobs in sub-folders match too."""
    include: tuple[str, ...] = field(default=(), kw_only=True)
    """Globs for the path below `path`. At least one must match. Empty: all blobs match.

    `*` stays within a folder. `**/*.csv` matches at any depth, including none.
    """
    exclude: tuple[str, ...] = field(default=(), kw_only=True)
    """Globs for the path below `path`. None of them may match, even if one of `include` does."""

    def mismatch(self, blob_path: str) -> Mismatch | None:
        """Return the first condition that a blob does not meet, or None if it matches.

        Args:
            blob_path: The whole name of the blob below the container, not percent-encoded.
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
            reason = f"{blob_path} lies in a sub-folder of {folder} and recursive is false"
            return "recursive", blob_path, reason
        if self.include and _matching(self.include, below) is None:
            reason = f"{below} matches nothing in include ({', '.join(self.include)})"
            return "include", below, reason
        excluded = _matching(self.exclude, below)
        if excluded is not None:
            return "exclude", below, f"{below} matches {excluded} in exclude"
        return None

    def binding_path(self, container: str) -> str:
        """Return the path of the Functions blob binding, as narrow as the host's patterns allow.

        `{name}` matches nested paths too, because webjobs-sdk turns it into `.*`. So one pattern serves both depths.
        """
        return f"{container}/{self.path}/{{name}}" if self.path else f"{container}/{{name}}"
