"""The whole local stack in one object: storage, workspace, identity endpoint, and the host around an app.

Example:
    with Stack(app=Path(".")) as stack:
        stack.upload("incoming/a.csv", b"1,2")
        stack.wait_until(lambda: stack.workspace.submitted, what="a run")
"""

from __future__ import annotations

import contextlib
import secrets
import tempfile
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient

from local.closeable import Closeable
from local.processes.child import ChildFailed
from local.processes.host import HostOptions, HostProcess
from local.standins.azurite import ACCOUNT, Azurite
from local.standins.identity import IdentityEndpoint
from local.standins.workspace.runs import Progress
from local.standins.workspace.server import WorkspaceStandIn

CONTAINER = "azureml-blobstore-local"
EMULATED = "UseDevelopmentStorage=true"
"""The value of a settings file for "the emulator".

The stack replaces it, and every connection string of the emulator's account, with its own Azurite, which has other
ports.
"""


class WaitedTooLong(Exception):
    """A condition did not become true in time. The message shows the end of the host's log."""


class Stack(Closeable):
    """A running local stack, from construction until `close`."""

    azurite: Azurite
    """The storage."""
    workspace: WorkspaceStandIn
    """The workspace stand-in."""
    identity: IdentityEndpoint
    """The endpoint of the managed identity."""
    settings: dict[str, str]
    """The app settings that the host gets."""
    container: str
    """The container of the sample's datastore."""
    directory: Path
    """The directory for logs and state."""
    app: Path
    """The directory of `function_app.py`."""
    host_log: Path
    """The log of the host."""
    storage: BlobServiceClient
    """A client of the storage."""

    def __init__(
        self,
        app: Path,
        *,
        settings: Mapping[str, str | None] | None = None,
        azurite: Azurite | None = None,
        location: Path | None = None,
        directory: Path | None = None,
        options: HostOptions | None = None,
        progress: Progress | None = None,
        workspace_port: int = 0,
        start: bool = True,
    ) -> None:
        """Start all parts of the stack.

        Args:
            app: The directory of `function_app.py`.
            settings: App settings that win over the stack's own. The value None removes a setting.
            azurite: A running Azurite to share. The container and the ledger table then get unique names.
            location: The directory for the data of an own Azurite. None keeps data in memory.
            directory: The directory for logs and state. None makes a temporary one.
            options: The options of the host. If they have no state directory, the stack adds one.
            progress: Changes the status of runs with time. None leaves that to `workspace.runs.advance`.
            workspace_port: The workspace's port. 0 takes a free one.
            start: Whether to start the host too. If not, call `start_host`.

        Raises:
            AzuriteMissing: Node.js or Azurite is not installed.
            ChildFailed: The app could not be indexed, or a part did not start.
        """
        with contextlib.ExitStack() as closing:
            if directory is None:
                directory = Path(
                    closing.enter_context(tempfile.TemporaryDirectory(prefix="stack-"))
                )
            self.directory = directory
            self.app = app
            self._host: HostProcess | None = None
            self._options = replace(options or HostOptions(), state=_state(options, directory))
            logs = directory / "logs"
            self.host_log = logs / "host.log"
            self.azurite = azurite or closing.enter_context(
                Azurite(location=location, log=logs / "azurite.log")
            )
            self.identity = closing.enter_context(IdentityEndpoint())
            self.workspace = closing.enter_context(
                WorkspaceStandIn(
                    secret=self.identity.secret, progress=progress, port=workspace_port
                )
            )
            self.settings = self._make_settings(dict(settings or {}), shared=azurite is not None)
            self.container = self.settings.get("DATA_CONTAINER", CONTAINER)
            self.storage = closing.enter_context(
                BlobServiceClient.from_connection_string(self.azurite.connection_string)
            )
            self.create_container(self.container)
            self._session = closing.enter_context(requests.Session())
            closing.callback(self.stop_host)
            if start:
                self.start_host()
            self._closing = closing.pop_all()

    def _make_settings(self, given: dict[str, str | None], *, shared: bool) -> dict[str, str]:
        storage = self.azurite.connection_string
        settings: dict[str, str | None] = {
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "AzureWebJobsStorage": storage,
            "DataStorage": storage,
            "DATA_CONTAINER": CONTAINER,
            "BLOB_SOURCE": "polling",
            "SCORING_ENDPOINT": self.workspace.submit_url(),
            **self.identity.environment,
        }
        if shared:
            name = secrets.token_hex(6)
            settings.update(DATA_CONTAINER=f"data-{name}", LEDGER_TABLE=f"ledger{name}")
        settings.update(given)
        return self.resolve({name: value for name, value in settings.items() if value is not None})

    def resolve(self, settings: Mapping[str, str]) -> dict[str, str]:
        """Return the settings with this stack's storage instead of "the emulator"."""
        storage = self.azurite.connection_string
        return {
            name: storage if value == EMULATED or f"AccountName={ACCOUNT};" in value else value
            for name, value in settings.items()
        }

    @property
    def host(self) -> HostProcess:
        """The running host.

        Raises:
            RuntimeError: The host does not run.
        """
        if self._host is None:
            raise RuntimeError("the host does not run; call start_host first")
        return self._host

    @property
    def url(self) -> str:
        """The host's base URL."""
        return self.host.url

    def start_host(self) -> HostProcess:
        """Start the host, after stopping one that runs.

        Raises:
            ChildFailed: The app could not be indexed, or the host did not start.
        """
        self.stop_host()
        self._host = HostProcess(
            self.app, settings=self.settings, log=self.host_log, options=self._options
        )
        return self._host

    def stop_host(self) -> None:
        """Stop the host in an orderly way. Idempotent."""
        if self._host is not None:
            self._host.stop()
            self._host = None

    def kill_host(self) -> None:
        """Kill the host at once, as if its machine failed. Idempotent."""
        if self._host is not None:
            self._host.kill()
            self._host = None

    def create_container(self, name: str) -> None:
        """Create a container if it does not exist."""
        with contextlib.suppress(ResourceExistsError):
            self.storage.create_container(name)

    def upload(
        self,
        name: str,
        data: bytes = b"",
        *,
        container: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Write or overwrite a blob, and return its ETag without quotes."""
        blob = self.storage.get_blob_client(container or self.container, name)
        written = blob.upload_blob(data, overwrite=True, metadata=dict(metadata or {}))
        return str(written["etag"]).strip('"')

    def call(
        self,
        method: str,
        path: str,
        *,
        json: Any = None,  # noqa: ANN401 - any JSON value
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> requests.Response:
        """Call the host over HTTP. If the host has keys, the default key is sent unless `headers` contain another."""
        key = self._options.keys.get("default")
        sent = {**({"x-functions-key": key} if key else {}), **(headers or {})}
        return self._session.request(
            method,
            self.url + path,
            json=json,
            data=data,
            headers=sent,
            timeout=230,
            allow_redirects=False,
        )

    def run_function(self, name: str, *, given: str = "") -> None:
        """Call a timer or blob function now, through the admin API.

        Args:
            name: The function's name.
            given: `<container>/<blob>` for a blob function.

        Raises:
            HTTPError: The host refused the request.
        """
        key = self._options.keys.get("master")
        headers = {"x-functions-key": key} if key else {}
        self.call(
            "POST", f"/admin/functions/{name}", json={"input": given}, headers=headers
        ).raise_for_status()

    def announce(
        self, function: str, name: str, *, container: str | None = None, etag: str = ""
    ) -> None:
        """Notify the host of a blob as Event Grid does, for a function whose source is EventGrid.

        Args:
            function: The function's name.
            name: The full name of the blob in its container.
            container: The container. None means the sample's.
            etag: The version of the blob.

        Raises:
            HTTPError: The host refused the request.
        """
        container = container or self.container
        event = {
            "id": str(uuid.uuid4()),
            "eventType": "Microsoft.Storage.BlobCreated",
            "subject": f"/blobServices/default/containers/{container}/blobs/{name}",
            "eventTime": datetime.now(UTC).isoformat(),
            "data": {
                "api": "PutBlob",
                "eTag": etag,
                "url": self.storage.get_blob_client(container, name).url,
            },
            "dataVersion": "",
            "metadataVersion": "1",
        }
        query = f"functionName=Host.Functions.{function}&code={self._options.keys.get('blobs_extension', '')}"
        self.call("POST", f"/runtime/webhooks/blobs?{query}", json=[event]).raise_for_status()

    def wait_until[T](
        self,
        condition: Callable[[], T | None],
        *,
        what: str,
        within: timedelta = timedelta(seconds=30),
    ) -> T:
        """Wait until a condition returns a true value, and return that value.

        Args:
            condition: Called again and again.
            what: A description of the value, for errors.
            within: The longest wait.

        Raises:
            WaitedTooLong: The condition did not return a true value in time.
            ChildFailed: The host ended meanwhile.
        """
        deadline = time.monotonic() + within.total_seconds()
        while not (found := condition()):
            output = self._host.child.output if self._host is not None else ""
            if self._host is not None and self._host.child.code is not None:
                message = f"the host ended while the stack waited for: {what}. Its log ends:"
                raise ChildFailed(message, code=self._host.child.code, output=output)
            if time.monotonic() > deadline:
                tail = "\n".join(output.splitlines()[-20:])
                raise WaitedTooLong(
                    f"no {what} within {within.total_seconds():g} s. The host's log ends:\n{tail}"
                )
            time.sleep(0.05)
        return found

    def close(self) -> None:
        """Stop all parts of the stack. Idempotent."""
        self._closing.close()


def _state(options: HostOptions | None, directory: Path) -> Path:
    return (
        options.state if options is not None and options.state is not None else directory / "state"
    )
