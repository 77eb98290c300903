"""One process of a chaos run: the real app over real sockets, told by JSON lines what is delivered to it.

The first line on standard input says how it is made; each further line is a command (`deliver`, `tick`, `clock`,
`calm`). It answers each by a line on standard output, and ends when standard input does.
"""

from __future__ import annotations

import json
import logging
import os
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableClient

from local.chaos import bugs as chaos_bugs
from local.chaos.fault_points import (
    ChaosTable,
    ChaosWorkspace,
    CrashPoints,
    HastyTransport,
    MovedClock,
    current_event,
)
from local.chaos.plan import facts_by_name, read_notification
from local.standins.storage_faults import FaultyAdapter, StorageChance
from shared.app import App, compose
from shared.clients.http_connections import kept_alive_session
from shared.clients.identity import Tokens
from shared.clients.transport import host_of
from shared.clients.workspace import WorkspaceClient
from shared.config.load import load_config
from shared.core.errors import StorageUnavailable, TriggersError
from shared.core.events import BlobFacts, Ignored
from shared.ledger.table.azure import CLIENT_OPTIONS, AzureTable
from shared.operations.submissions import start

logger = logging.getLogger(__name__)

TICKERS = 2
"""Ticks at a time: the timer's lock does not hold for ever, so the app must bear two."""


class Worker:
    """The app of this process, and what it is told.

    Args:
        orders: The first line: see `chaos_crew.Crew`.
    """

    def __init__(self, orders: dict[str, Any]) -> None:
        self._lock = threading.Lock()
        self.clock = MovedClock(offset=orders["offset"], skew=orders["skew"])
        self._points = CrashPoints(
            lambda point, event: self.say(fault=f"crash: {point}", event=event, crash=True)
        )
        self._storage = StorageChance(
            f"storage:{orders['seed']}",
            share=orders["storage_faults"],
            note=lambda fault: self.say(fault=f"storage: {fault}", event=current_event.get()),
        )
        self._dice = random.Random(f"head:{orders['seed']}")  # noqa: S311 — it must be repeatable
        self.app = self._compose(orders)
        self._threads = ThreadPoolExecutor(orders["threads"], "deliver")
        self._tickers = ThreadPoolExecutor(TICKERS, "tick")

    def say(self, **record: object) -> None:
        """Write one line for the harness."""
        with self._lock:
            print(json.dumps(record), flush=True)

    def obey(self, command: dict[str, Any]) -> None:
        """Carry out a command; deliveries and ticks are answered when they are done."""
        match command["do"]:
            case "clock":
                self.clock.offset = command["offset"]
            case "calm":
                self._storage.share = 0.0
            case "deliver":
                self._threads.submit(self._answer, command, self._deliver)
            case "tick":
                self._tickers.submit(self._answer, command, self._tick)
            case other:
                raise ValueError(f"there is no command {other}")

    def _answer(self, command: dict[str, Any], carry_out: Any) -> None:  # noqa: ANN401 — one of two methods
        try:
            carry_out(command)
        except TriggersError as error:
            self.say(n=command["n"], failed=f"{type(error).__name__}: {error}")
        except Exception as error:
            # It goes to the harness, whose report shows it.
            logger.exception("%s failed", command["do"])
            self.say(n=command["n"], failed=f"{type(error).__name__}: {error}", unexpected=True)
        else:
            self.say(n=command["n"])

    def _deliver(self, command: dict[str, Any]) -> None:
        current_event.set(command["id"])
        if command.get("crash"):
            self._points.arm(command["crash"])
        result = start(self.app.services, read_notification(command["notification"]))
        if isinstance(result, Ignored):
            raise TriggersError(f"the event was ignored: {result.reason}")

    def _tick(self, command: dict[str, Any]) -> None:
        current_event.set(None)
        if command.get("crash"):
            self._points.arm(command["crash"])
        self.app.tick()

    def _head(self, connection: str, container: str, path: str) -> BlobFacts:
        with self._lock:
            fails = self._storage.share > 0 and self._dice.random() < self._storage.share
        if fails:
            self.say(fault="storage: HEAD", event=current_event.get())
            raise StorageUnavailable("the blob service did not answer, as the harness wanted")
        return facts_by_name(connection, container, path)

    def _compose(self, orders: dict[str, Any]) -> App:
        config = load_config(Path(orders["file"]), settings={})
        adapter = FaultyAdapter(self._storage.decide)

        def connect() -> TableClient:
            return TableClient.from_connection_string(
                orders["connection_string"],
                orders["table"],
                transport=RequestsTransport(session=kept_alive_session(adapter)),
                **{**CLIENT_OPTIONS, "retry_backoff_factor": 0.02},
            )

        tokens = Tokens(os.environ)
        hosts = frozenset(host_of(pipeline.endpoint) for pipeline in config.pipelines.values())
        client = WorkspaceClient(
            HastyTransport(tokens, hosts=hosts), tokens=tokens, now=self.clock.now
        )
        bug: str = orders["bug"] or ""
        if bug == "one_token":
            chaos_bugs.use_one_token()
        workspace = chaos_bugs.WORKSPACES.get(bug, ChaosWorkspace)(client, self._points)
        return compose(
            config,
            table=ChaosTable(
                AzureTable(connect, described=f"table {orders['table']}"), self._points
            ),
            read_blob=self._head,
            workspace=workspace,
            clock=self.clock.now,
            monotonic=self.clock.monotonic,
        )


def main() -> None:
    """Run until standard input ends."""
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stderr,
        format="%(asctime)s %(threadName)s %(name)s %(message)s",
    )
    lines = iter(sys.stdin)
    worker = Worker(json.loads(next(lines)))
    worker.say(ready=True)
    for line in lines:
        worker.obey(json.loads(line))
    # Threads may be in the middle of something; whoever started this process has seen enough.
    os._exit(0)


if __name__ == "__main__":
    main()
