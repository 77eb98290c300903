"""One worker process of a chaos run: the real app over real sockets, controlled by JSON lines.

The first line on standard input is the setup. Each further line is a command: `deliver`, `tick`, `set_clock` or
`stop_faults`. The worker reports the results of deliveries and ticks, and each injected fault, as lines on standard
output. It ends when standard input ends.
"""

from __future__ import annotations

import json
import logging
import os
import random
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from azure.core.pipeline.transport import RequestsTransport
from azure.data.tables import TableClient

from local.chaos.defects import DEFECTIVE_WORKSPACES, use_one_token
from local.chaos.fault_points import (
    ChaosTable,
    ChaosWorkspace,
    CrashPoints,
    ShiftedClock,
    ShortDeadlineTransport,
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

CONCURRENT_TICKS = 2
"""How many ticks can run at the same time. The timer's lock can expire, so the app must handle two."""


class WorkerApp:
    """The app of this process, and the commands that it carries out.

    Args:
        setup: The first line on standard input. `WorkerPool` writes it.
    """

    def __init__(self, setup: dict[str, Any]) -> None:
        self._lock = threading.Lock()
        self._clock = ShiftedClock(offset=setup["offset"], skew=setup["skew"])
        self._points = CrashPoints(
            lambda point, event: self.send(fault=f"crash: {point}", event=event)
        )
        self._storage = StorageChance(
            f"storage:{setup['seed']}",
            fraction=setup["storage_faults"],
            on_fault=lambda fault: self.send(fault=f"storage: {fault}", event=current_event.get()),
        )
        self._random = random.Random(f"head:{setup['seed']}")  # noqa: S311 — it must be repeatable
        self.app = self._compose(setup)
        self._deliveries = ThreadPoolExecutor(setup["threads"], "deliver")
        self._ticks = ThreadPoolExecutor(CONCURRENT_TICKS, "tick")

    def send(self, **record: object) -> None:
        """Send one line to the harness."""
        with self._lock:
            print(json.dumps(record), flush=True)

    def carry_out(self, command: dict[str, Any]) -> None:
        """Carry out a command. Deliveries and ticks run in threads and send their results when they end.

        Raises:
            ValueError: The command is unknown.
        """
        match command["command"]:
            case "set_clock":
                self._clock.offset = command["offset"]
            case "stop_faults":
                self._storage.fraction = 0.0
            case "deliver":
                self._deliveries.submit(self._run, command, self._deliver)
            case "tick":
                self._ticks.submit(self._run, command, self._tick)
            case other:
                raise ValueError(f"there is no command {other}")

    def _run(self, command: dict[str, Any], action: Callable[[dict[str, Any]], None]) -> None:
        number = command["number"]
        try:
            action(command)
        except TriggersError as error:
            self.send(number=number, failure=f"{type(error).__name__}: {error}")
        except Exception as error:
            # The harness puts it into its report.
            logger.exception("%s failed", command["command"])
            self.send(number=number, failure=f"{type(error).__name__}: {error}", unexpected=True)
        else:
            self.send(number=number)

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
            fails = self._storage.fraction > 0 and self._random.random() < self._storage.fraction
        if fails:
            self.send(fault="storage: HEAD", event=current_event.get())
            raise StorageUnavailable("the blob service did not answer (injected fault)")
        return facts_by_name(connection, container, path)

    def _compose(self, setup: dict[str, Any]) -> App:
        config = load_config(Path(setup["file"]), settings={})
        adapter = FaultyAdapter(self._storage.decide)

        def connect() -> TableClient:
            return TableClient.from_connection_string(
                setup["connection_string"],
                setup["table"],
                transport=RequestsTransport(session=kept_alive_session(adapter)),
                **{**CLIENT_OPTIONS, "retry_backoff_factor": 0.02},
            )

        tokens = Tokens(os.environ)
        hosts = frozenset(host_of(pipeline.endpoint) for pipeline in config.pipelines.values())
        client = WorkspaceClient(
            ShortDeadlineTransport(tokens, hosts=hosts), tokens=tokens, now=self._clock.now
        )
        defect: str = setup["defect"] or ""
        if defect == "one_token":
            use_one_token()
        workspace = DEFECTIVE_WORKSPACES.get(defect, ChaosWorkspace)(client, self._points)
        return compose(
            config,
            table=ChaosTable(
                AzureTable(connect, described=f"table {setup['table']}"), self._points, self._clock
            ),
            read_blob=self._head,
            workspace=workspace,
            clock=self._clock.now,
            monotonic=self._clock.monotonic,
        )


def main() -> None:
    """Run the worker until standard input ends."""
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stderr,
        format="%(asctime)s %(threadName)s %(name)s %(message)s",
    )
    lines = iter(sys.stdin)
    worker = WorkerApp(json.loads(next(lines)))
    worker.send(ready=True)
    for line in lines:
        worker.carry_out(json.loads(line))
    # An orderly exit would wait for threads that are still at work, and the harness needs no more results.
    os._exit(0)


if __name__ == "__main__":
    main()
