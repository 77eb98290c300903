"""What the engine and the operations work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from shared.clients.circuit import Circuits
from shared.clients.workspace import Workspace
from shared.config.model import Config
from shared.core.events import BlobFacts
from shared.engine.threads import Threads
from shared.ledger.ledger import Ledger

type BlobReader = Callable[[str, str, str], BlobFacts | None]
"""Reads a blob's properties by connection, container and path. None: there is no such blob."""


@dataclass(slots=True)
class Backlog:
    """What a process remembers of the `due:` rows, if there are more than a tick reads."""

    read_to: str | None = None
    """The key of the last row that the last tick read. None: it read all, or came to the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts of one app."""

    config: Config
    """Today's triggers file. It is the only source of endpoints."""
    ledger: Ledger
    """The durable record."""
    read_blob: BlobReader
    """Reads a blob's properties."""
    workspace: Workspace
    """Azure ML."""
    clock: Callable[[], datetime]
    """Returns the current time (timezone-aware)."""
    monotonic: Callable[[], float]
    """Returns seconds of a monotonic clock: the one that the ledger's claims carry."""
    circuits: Circuits
    """Which endpoints answer."""
    threads: Threads = field(default_factory=Threads)
    """Work on what a tick has to do."""
    backlog: Backlog = field(default_factory=Backlog)
    """Where the next tick reads on."""
