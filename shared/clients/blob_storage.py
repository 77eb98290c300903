"""The properties of a blob, read by a HEAD of our own.

The Functions binding makes a new client and a new credential for every event. It knows a user-assigned identity only
through its own settings. So the app takes only names from it, and reads the rest with one client for each connection.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from shared.clients.identity import Tokens
from shared.config.settings import Connection, storage_endpoint
from shared.core.errors import SettingError, StorageUnavailable
from shared.core.events import BlobFacts
from shared.core.redaction import redact
from shared.core.telemetry import Action, log_decision

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError
    from azure.storage.blob import BlobServiceClient

logger = logging.getLogger(__name__)

CONNECTION_TIMEOUT = timedelta(seconds=10)
READ_TIMEOUT = timedelta(seconds=20)
"""Of a HEAD, whose answer has no body."""


class Blobs:
    """Blob storage, with one client for each connection.

    Args:
        settings: The app settings, which define the connections.
        tokens: The identity, for connections without a connection string.
        wait: The average wait before each of the two retries of a HEAD, in whole seconds.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        *,
        tokens: Tokens,
        wait: timedelta = timedelta(seconds=1),
    ) -> None:
        self._settings = settings
        self._tokens = tokens
        self._wait = wait
        self._lock = threading.Lock()
        self._clients: dict[str, BlobServiceClient] = {}

    def head(self, connection: str, container: str, path: str) -> BlobFacts | None:
        """Return a blob's properties, or None if the blob or its container does not exist.

        Args:
            connection: App-setting name or prefix.
            container: The container's name.
            path: The blob's whole name, not percent-encoded.

        Raises:
            SettingError: The connection is not set, or cannot be used.
            StorageUnavailable: The account did not answer, or refused.
            TokenUnavailable: The identity gives no token for the account.
        """
        from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

        # Every HTTP client removes the segments . and .. from a URL, and would ask for another blob.
        if {".", ".."} & set(path.split("/")):
            log_decision(
                logger,
                Action.BLOB_UNADDRESSABLE,
                f"blob {path!r} has a folder named . or .., which no HTTP client can request",
                {"container": container},
                level=logging.WARNING,
            )
            return None
        storage = storage_endpoint(self._settings, connection, service="blob")
        client = self._client(storage)
        blob = client.get_blob_client(container, path)
        try:
            facts = blob.get_blob_properties()
        except ResourceNotFoundError:
            return None
        except HttpResponseError as error:
            raise StorageUnavailable(self._refusal(error, storage, client)) from error
        except AzureError as error:
            raise StorageUnavailable(
                f"storage account {client.account_name} (connection {connection}) did not answer: "
                f"{redact(str(error), limit=500)}"
            ) from error
        return BlobFacts(
            account=client.account_name or client.primary_hostname,
            container=container,
            path=path,
            url=blob.url.partition("?")[0],
            etag=facts.etag.removeprefix("W/").strip('"'),
            size=facts.size,
            last_modified=facts.last_modified,
            metadata=dict(facts.metadata or {}),
        )

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    def _client(self, storage: Connection) -> BlobServiceClient:
        with self._lock:
            client = self._clients.get(storage.name)
            if client is None:
                client = self._clients[storage.name] = self._build(storage)
            return client

    def _build(self, storage: Connection) -> BlobServiceClient:
        from azure.storage.blob import BlobServiceClient, LinearRetry

        from shared.clients.http_connections import ClientTransport

        wait = int(self._wait.total_seconds())
        options: dict[str, Any] = {
            "transport": ClientTransport(
                connection_timeout=CONNECTION_TIMEOUT, read_timeout=READ_TIMEOUT
            ),
            # A HEAD is idempotent, so it may be retried. The package's own first wait of 15 s is too long: if all
            # attempts fail, the host delivers the event again.
            "retry_policy": LinearRetry(backoff=wait, random_jitter_range=wait, retry_total=2),
        }
        if storage.connection_string is not None:
            try:
                return BlobServiceClient.from_connection_string(
                    storage.connection_string, **options
                )
            except ValueError as error:
                raise SettingError(
                    storage.name,
                    f"app setting {storage.name} is not a storage connection string: {error} "
                    "Copy the connection string from the access keys of the storage account",
                ) from error
        credential = self._tokens.for_client(storage.client_id)
        return BlobServiceClient(storage.endpoint or "", credential=credential, **options)

    def _refusal(
        self, error: HttpResponseError, storage: Connection, client: BlobServiceClient
    ) -> str:
        """Return the message for an error status: the finding, and how to fix it."""
        code = getattr(error, "error_code", None)
        code = getattr(code, "value", code) or "no code"
        account = f"storage account {client.account_name} (connection {storage.name})"
        answered = f"{account} answered {error.status_code} ({code})"
        if error.status_code not in (401, 403):
            return redact(f"{answered}: {error.reason or error.message}")
        if storage.connection_string is not None:
            return (
                f"{answered}: the key or SAS in app setting {storage.name} is not accepted, or the account's firewall "
                "blocks the app"
            )
        identity = self._tokens.for_client(storage.client_id).describe()
        return (
            f"{answered} to {identity}. Assign it the role Storage Blob Data Reader on the account, or Storage Blob "
            "Data Owner for a polled blob trigger. A new role takes some minutes to take effect. If it has the role, "
            "check the account's firewall"
        )
