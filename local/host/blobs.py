"""Blob functions as the Functions host runs them: polled or announced, queued, tried five times.

Polling lists each function's folder at an interval. A version of a blob (its ETag) is queued once;
it is remembered on disk only when it is done, so that a host that was killed delivers again: at
least once, as in Azure, where the queue outlives the host. A function that raises five times on one
blob leaves it in the poison list.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from azure.core.exceptions import AzureError, ResourceNotFoundError
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient

from local.host.log import logger, run_logged
from local.host.runtime import AppFailed, Function, Runtime
from local.host.timers import resolve_settings

MAX_TRIES = 5
"""The host's own `poisonBlobThreshold` (host.json reference)."""


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A blob that a function must be called for.

    Attributes:
        function: The function's name.
        container: The container.
        name: The whole name below the container, raw.
        etag: The version; None if the notification did not say, or it does not matter.
    """

    function: str
    container: str
    name: str
    etag: str | None = None


class BlobQueue:
    """Calls functions for blobs, a bounded number at once, until `close`.

    Attributes:
        poison: Blobs that were given up.
    """

    def __init__(
        self,
        runtime: Runtime,
        *,
        workers: int,
        retry_delay: timedelta,
        done: Callable[[Blob], None] = lambda _blob: None,
    ) -> None:
        """Make an empty queue.

        Args:
            runtime: What calls the functions.
            workers: How many at once (`extensions.blobs.maxDegreeOfParallelism`).
            retry_delay: The pause after a failure.
            done: Told of each blob that succeeded or was given up.
        """
        self._runtime = runtime
        self._retry_delay = retry_delay
        self._done = done
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="blob")
        self.poison: list[Blob] = []

    def put(self, blob: Blob) -> None:
        """Queue a blob."""
        self._pool.submit(self._run, blob)

    def close(self) -> None:
        """Drop what waits, and wait for what runs."""
        self._stopped.set()
        self._pool.shutdown(cancel_futures=True)

    def _run(self, blob: Blob) -> None:
        for attempt in range(1, MAX_TRIES + 1):
            result = run_logged(
                blob.function,
                f"blob {blob.container}/{blob.name}, try {attempt}",
                lambda invocation_id: self._runtime.invoke_blob(
                    blob.function,
                    container=blob.container,
                    blob=blob.name,
                    invocation_id=invocation_id,
                ),
            )
            if result.ok:
                self._done(blob)
                return
            if attempt < MAX_TRIES and self._stopped.wait(self._retry_delay.total_seconds()):
                return
        self.poison.append(blob)
        logger.error(
            "poison: %s failed %d times on %s/%s",
            blob.function,
            MAX_TRIES,
            blob.container,
            blob.name,
        )
        self._done(blob)


class BlobPattern:
    """A blob trigger's path: `container/folder/{name}`; `{name}` is any text, slashes too.

    Attributes:
        container: The container.
        prefix: What every matching name begins with.

    Raises:
        AppFailed: The container is a pattern.
    """

    def __init__(self, path: str, *, function: str) -> None:
        self.container, _, names = path.partition("/")
        if "{" in self.container:
            raise AppFailed(f"{function}: the container in {path!r} cannot be a pattern")
        names = names or "{name}"
        self.prefix = names.partition("{")[0]
        pattern = re.sub(r"\\\{[^{}]+\\\}", ".*", re.escape(names))
        self._pattern = re.compile(pattern, re.DOTALL)

    def matches(self, name: str) -> bool:
        """Tell whether a blob's name is one of them."""
        return self._pattern.fullmatch(name) is not None


class Receipts:
    """Which versions were queued, and, on disk, which are done."""

    def __init__(self, state: Path | None) -> None:
        self._file = None if state is None else state / "receipts.jsonl"
        self._cache: set[tuple[str, ...]] = set()
        self._lock = threading.Lock()
        if self._file is not None and self._file.is_file():
            for line in self._file.read_text("utf-8").splitlines():
                self._cache.add(tuple(json.loads(line)))

    def claim(self, blob: Blob) -> bool:
        """Tell whether this version is new; from now on it is not."""
        key = (blob.function, blob.container, blob.name, blob.etag or "")
        with self._lock:
            new = key not in self._cache
            self._cache.add(key)
            return new

    def write(self, blob: Blob) -> None:
        """Remember a version that is done beyond this process."""
        if self._file is None or blob.etag is None:
            return
        line = json.dumps([blob.function, blob.container, blob.name, blob.etag])
        with self._lock, self._file.open("a", encoding="utf-8") as file:
            file.write(line + "\n")


class BlobPoller:
    """Lists the folders of polled blob functions at an interval, from `start` until `close`."""

    def __init__(
        self,
        functions: list[Function],
        queue: BlobQueue,
        *,
        receipts: Receipts,
        interval: timedelta,
    ) -> None:
        """Read the functions' paths and connections.

        Raises:
            AppFailed: A path or connection cannot be used.
        """
        self._queue = queue
        self._receipts = receipts
        self._interval = interval
        self._clients: dict[str, BlobServiceClient] = {}
        self._watched: list[tuple[str, BlobPattern, BlobServiceClient]] = []
        self._troubles: dict[str, str] = {}
        for function in functions:
            path = resolve_settings(str(function.trigger["path"]), function.name)
            connection = str(function.trigger.get("connection") or "AzureWebJobsStorage")
            if connection not in self._clients:
                self._clients[connection] = connect(connection, function=function.name)
            pattern = BlobPattern(path, function=function.name)
            self._watched.append((function.name, pattern, self._clients[connection]))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="blob-poller")

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        for client in self._clients.values():
            client.close()

    def scan(self) -> None:
        """List every folder once, and queue what is new."""
        for function, pattern, client in self._watched:
            try:
                for blob in self._list(function, pattern, client):
                    if self._stopped.is_set():
                        return
                    if self._receipts.claim(blob):
                        self._queue.put(blob)
                trouble = ""
            except ResourceNotFoundError:
                trouble = "is not there yet"
            except AzureError as error:
                trouble = f"cannot be listed: {type(error).__name__}"
            if trouble and self._troubles.get(function) != trouble:
                logger.warning(
                    "%s: container %s %s; trying on", function, pattern.container, trouble
                )
            self._troubles[function] = trouble

    @staticmethod
    def _list(function: str, pattern: BlobPattern, client: BlobServiceClient) -> Iterator[Blob]:
        container = client.get_container_client(pattern.container)
        for item in container.list_blobs(name_starts_with=pattern.prefix or None):
            if pattern.matches(item.name):
                yield Blob(
                    function=function,
                    container=pattern.container,
                    name=item.name,
                    etag=item.etag.strip('"'),
                )

    def _run(self) -> None:
        while True:
            self.scan()
            if self._stopped.wait(self._interval.total_seconds()):
                return


def connect(connection: str, *, function: str) -> BlobServiceClient:
    """Make a client for a connection, read as the host reads it: `X`, else `X__blobServiceUri` with an identity.

    Raises:
        AppFailed: There is no such connection.
    """
    if text := os.environ.get(connection):
        return BlobServiceClient.from_connection_string(text)
    if url := os.environ.get(f"{connection}__blobServiceUri"):
        identity = ManagedIdentityCredential(client_id=os.environ.get(f"{connection}__clientId"))
        return BlobServiceClient(url, credential=identity)
    raise AppFailed(
        f"{function}: there is no app setting {connection} (a connection string) or {connection}__blobServiceUri"
    )
