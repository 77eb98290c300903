"""Compiles the datastores, and checks the connections of those that blob triggers watch."""

from __future__ import annotations

from collections.abc import Callable

from shared.config.model import Datastore
from shared.config.problems import Problems
from shared.config.schema.sections import FileEntries


def compile_datastores(entries: FileEntries) -> dict[str, Datastore]:
    """Return the datastores without problems, by name."""
    return {
        name: Datastore(name=name, connection=entry.connection, container=entry.container)
        for name, entry in entries.datastores.items()
        if entry.connection is not None and entry.container is not None
    }


def check_connections(
    entries: FileEntries,
    *,
    connection_problem: Callable[[str], str | None],
    problems: Problems,
) -> None:
    """Report the connections that cannot be used although a blob trigger needs them.

    Args:
        entries: The maps of the file.
        connection_problem: Returns the reason why a connection cannot be used, or None.
        problems: Takes the problems.
    """
    watched = {trigger.blob.datastore for trigger in entries.triggers.values() if trigger.blob}
    for name, datastore in entries.datastores.items():
        if name in watched and datastore.connection is not None:
            message = connection_problem(datastore.connection)
            if message is not None:
                problems.add(("datastores", name, "connection"), message)
