"""Blob functions as the Functions host runs them: polled or notified, queued, and called up to five times.

Polling lists each function's folder at an interval. A version of a blob (its ETag) is queued once. It is written to
disk only when it is done, so a host that was killed delivers it again. That is at-least-once delivery as in Azure,
where the queue outlives the host. If a function raises five times for one blob, the blob goes to the poison list.
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
"""The real host's `poisonBlobThreshold` (host.json reference)."""


@dataclass(frozen=True, kw_only=True)
class Blob:
    """A blob for which a function must be called."""

    function: str
    """The function's name."""
    container: str
    """The container."""
    name: str
    """The full name in the container, not encoded."""
    etag: str | None = None
    """The version, or None if the notification did not contain it."""


class BlobQueue:
    """A queue that calls functions for blobs, a limited number at once, until `close`."""

    def __init__(
        self,
        runtime: Runtime,
        *,
        workers: int,
        retry_delay: timedelta,
        done: Callable[[Blob], None] = lambda _blob: None,
    ) -> None:
        """Start an empty queue.

        Args:
            runtime: The runtime that calls the functions.
            workers: The number of calls at once (`extensions.blobs.maxDegreeOfParallelism`).
            retry_delay: The wait after a failed call.
            done: Called with each blob whose function succeeded or failed for the last time.
        """
        self._runtime = runtime
        self._retry_delay = retry_delay
        self._done = done
        self._stopped = threading.Event()
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="blob")
        self.poison: list[Blob] = []
        """The blobs whose function failed for the last time."""

    def put(self, blob: Blob) -> None:
        """Queue a blob."""
        self._pool.submit(self._run, blob)

    def close(self) -> None:
        """Discard the waiting blobs, and wait for the functions that run."""
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
    """A blob trigger's path: `container/folder/{name}`. `{name}` matches any text, including slashes.

    Args:
        path: The path.
        function: The function's name, for errors.

    Raises:
        AppFailed: The container is a pattern.
    """

    def __init__(self, path: str, *, function: str) -> None:
        self.container, _, names = path.partition("/")
        """The container."""
        if "{" in self.container:
            raise AppFailed(f"{function}: the container in {path!r} cannot be a pattern")
        names = names or "{name}"
        self.prefix = names.partition("{")[0]
        """The text with which every matching name begins."""
        pattern = re.sub(r"\\\{[^{}]+\\\}", ".*", re.escape(names))
        self._pattern = re.compile(pattern, re.DOTALL)

    def matches(self, name: str) -> bool:
        """Return whether a blob's name matches."""
        return self._pattern.fullmatch(name) is not None


class Receipts:
    """The versions of blobs that were queued, and on disk those that are done.

    Args:
        state: The directory for the file. None keeps nothing on disk.
    """

    def __init__(self, state: Path | None) -> None:
        self._file = None if state is None else state / "receipts.jsonl"
        self._cache: set[tuple[str, ...]] = set()
        self._lock = threading.Lock()
        if self._file is not None and self._file.is_file():
            for line in self._file.read_text("utf-8").splitlines():
                self._cache.add(tuple(json.loads(line)))

    def claim(self, blob: Blob) -> bool:
        """Return whether this version was not claimed before, and claim it."""
        key = (blob.function, blob.container, blob.name, blob.etag or "")
        with self._lock:
            new = key not in self._cache
            self._cache.add(key)
            return new

    def write(self, blob: Blob) -> None:
        """Write a version that is done to disk."""
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
        """Read the paths and connections of the functions.

        Args:
            functions: The polled blob functions.
            queue: Gets the new versions.
            receipts: Tells which versions are new.
            interval: The time between two listings.

        Raises:
            AppFailed: A path or connection cannot be used.
        """
        self._queue = queue
        self._receipts = receipts
        self._interval = interval
        self._clients: dict[str, BlobServiceClient] = {}
        self._watched: list[tuple[str, BlobPattern, BlobServiceClient]] = []
        self._problems: dict[str, str] = {}
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
        """Start polling."""
        self._thread.start()

    def close(self) -> None:
        """Stop polling."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        for client in self._clients.values():
            client.close()

    def scan(self) -> None:
        """List every folder once, and queue new versions."""
        for function, pattern, client in self._watched:
            try:
                for blob in self._list(function, pattern, client):
                    if self._stopped.is_set():
                        return
                    if self._receipts.claim(blob):
                        self._queue.put(blob)
                problem = ""
            except ResourceNotFoundError:
                problem = "is not there yet"
            except AzureError as error:
                problem = f"cannot be listed: {type(error).__name__}"
            if problem and self._problems.get(function) != problem:
                logger.warning(
                    "%s: container %s %s; polling goes on", function, pattern.container, problem
                )
            self._problems[function] = problem

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
    """Return a client for a connection `X`: the setting `X`, else `X__blobServiceUri` with a managed identity.

    Args:
        connection: The name or prefix of the settings.
        function: The function's name, for errors.

    Raises:
        AppFailed: There is no such setting.
    """
    if text := os.environ.get(connection):
        return BlobServiceClient.from_connection_string(text)
    if url := os.environ.get(f"{connection}__blobServiceUri"):
        identity = ManagedIdentityCredential(client_id=os.environ.get(f"{connection}__clientId"))
        return BlobServiceClient(url, credential=identity)
    raise AppFailed(
        f"{function}: there is no app setting {connection} (a connection string) or {connection}__blobServiceUri"
    )
