"""Builds what a trigger starts from, of what the file says about it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from shared.config.document import Path
from shared.config.model import (
    BlobDelivery,
    BlobSource,
    Datastore,
    HttpSource,
    Start,
)
from shared.config.path_rule import PathRule
from shared.config.problems import Problems, report_unknown
from shared.config.schema import checks as rules
from shared.config.schema.file import BlobEntry, HttpEntry


def http_source(entry: HttpEntry, *, names: Collection[str]) -> HttpSource:
    """Return a caller's door.

    Args:
        entry: What the file says.
        names: The dotted names that the trigger's templates use.
    """
    return HttpSource(
        allow_experiment=entry.allow_experiment,
        body_names=_keys_below("http.body.", names),
        query_names=_keys_below("http.query.", names),
    )


def blob_source(
    entry: BlobEntry,
    path: Path,
    *,
    datastores: Mapping[str, Datastore],
    declared: Collection[str],
    delivery: BlobDelivery,
    problems: Problems,
) -> BlobSource | None:
    """Return a folder to watch, or None when its datastore cannot be used.

    Args:
        entry: What the file says.
        path: Where it stands.
        datastores: The datastores that can be used.
        declared: The names of all datastores, those with mistakes too.
        delivery: How the host learns of blobs, when the trigger does not say it.
        problems: Takes the mistakes.
    """
    if entry.datastore not in declared:
        report_unknown(
            (*path, "datastore"),
            entry.datastore,
            known=declared,
            what="datastore",
            problems=problems,
        )
    for position, glob in enumerate(entry.include):
        where = (*path, "include", position)
        if not entry.recursive and "/" in glob.removeprefix("**/"):
            problems.add(
                where,
                f"found {problems.found(where)}; it names a sub-folder and recursive is off, "
                "so nothing can match; write recursive: true",
            )
    if entry.datastore not in datastores:
        return None
    return BlobSource(
        datastore=datastores[entry.datastore],
        rule=PathRule(
            entry.path,
            recursive=entry.recursive,
            include=tuple(entry.include),
            exclude=tuple(entry.exclude),
        ),
        delivery=BlobDelivery(entry.source) if entry.source else delivery,
        start=rules.read_start(entry.start) or Start(entry.start),
    )


def _keys_below(prefix: str, names: Collection[str]) -> frozenset[str]:
    """Return the part of each name that follows a prefix: the key that the caller sends."""
    return frozenset(
        name.removeprefix(prefix).partition(".")[0] for name in names if name.startswith(prefix)
    )
