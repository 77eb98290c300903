"""A blob's facts, by a HEAD of our own.

The Functions binding makes a new client and a new credential for every event and knows no user-assigned identity but
through its own settings, so only names are taken from it; one client a connection and process asks for the rest.
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

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError
    from azure.storage.blob import BlobServiceClient

logger = logging.getLogger(__name__)


class Blobs:
    """Asks for blobs; one client a connection for the life of the process.

    Args:
        settings: The app settings, where connections are found.
        tokens: The identity for connections without a connection string.
        wait: About how long to wait before a failed HEAD is asked again, which happens twice. Whole seconds.
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
        """Ask for a blob's facts; None when the blob, or its container, is not there.

        A name with `.` or `..` for a folder is never there: every HTTP client resolves those away, and would ask for
        another blob.

        Args:
            connection: App-setting name or prefix.
            container: The container's name.
            path: The blob's whole name, raw: it is asked for exactly as it is.

        Raises:
            SettingError: The connection is not set, or cannot be used.
            StorageUnavailable: The account did not answer, or refused.
            TokenUnavailable: There is no token for it.
        """
        from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

        if {".", ".."} & set(path.split("/")):
            logger.warning(
                "blob %r has a folder named . or .., which no URL can name",
                path,
                extra={"action": "blob_unaddressable", "container": container},
            )
            return None
        place = storage_endpoint(self._settings, connection, service="blob")
        client = self._client(place)
        blob = client.get_blob_client(container, path)
        try:
            facts = blob.get_blob_properties()
        except ResourceNotFoundError:
            return None
        except HttpResponseError as error:
            raise StorageUnavailable(self._refusal(error, place, client)) from error
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

    def _client(self, place: Connection) -> BlobServiceClient:
        with self._lock:
            client = self._clients.get(place.name)
            if client is None:
                client = self._clients[place.name] = self._build(place)
            return client

    def _build(self, place: Connection) -> BlobServiceClient:
        from azure.core.pipeline.transport import RequestsTransport
        from azure.storage.blob import BlobServiceClient, LinearRetry

        from shared.clients.http_connections import kept_alive_session

        wait = int(self._wait.total_seconds())
        options: dict[str, Any] = {
            "transport": RequestsTransport(session=kept_alive_session()),
            # A HEAD may be asked again. The package's own first wait is 15 s; the host tries the event again anyway.
            "retry_policy": LinearRetry(backoff=wait, random_jitter_range=wait, retry_total=2),
            "connection_timeout": 10,  # seconds
            "read_timeout": 20,  # seconds; an answer without a body
        }
        if place.connection_string is not None:
            try:
                return BlobServiceClient.from_connection_string(place.connection_string, **options)
            except ValueError as error:
                raise SettingError(
                    place.name,
                    f"app setting {place.name} is not a storage connection string: {error}",
                ) from error
        credential = self._tokens.for_client(place.client_id)
        return BlobServiceClient(place.endpoint or "", credential=credential, **options)

    def _refusal(
        self, error: HttpResponseError, place: Connection, client: BlobServiceClient
    ) -> str:
        code = getattr(error, "error_code", None)
        code = getattr(code, "value", code) or "no code"
        said = f"storage account {client.account_name} (connection {place.name}) answered {error.status_code} ({code})"
        if error.status_code not in (401, 403):
            return redact(f"{said}: {error.reason or error.message}")
        if place.connection_string is not None:
            return f"{said}: the key or SAS in app setting {place.name} is not accepted, or a firewall refuses"
        identity = self._tokens.for_client(place.client_id).describe()
        return (
            f"{said} to {identity}: give it the role Storage Blob Data Reader (Storage Blob Data Owner, for a polled "
            "blob trigger) on the account; a role takes some minutes to apply, and a firewall may refuse, too"
        )
