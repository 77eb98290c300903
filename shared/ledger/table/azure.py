"""A `Table` in Azure Table Storage, or in Azurite on a laptop, through azure-data-tables.

The first call imports the package and opens the connection. Nothing touches the network at import.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from shared.core.redaction import redact
from shared.ledger.table.errors import (
    CONFLICTS,
    REFUSALS,
    RowConflict,
    RowRefused,
    TableUnavailable,
)
from shared.ledger.table.protocol import (
    MAX_OPERATIONS,
    PAGE_ROWS,
    Delete,
    Insert,
    Merge,
    Operation,
    Page,
    Row,
)

if TYPE_CHECKING:
    from azure.data.tables import TableClient, TableEntity

PARTITION = "v1"
"""The one partition of all rows. A transaction cannot span partitions, and a claim writes several rows at once."""

CLIENT_OPTIONS: dict[str, Any] = {
    "connection_timeout": 5,  # seconds
    "read_timeout": 30,  # seconds for one read. The service itself gives up after 30 s
    "retry_total": 3,
    "retry_backoff_factor": 0.4,
    "retry_backoff_max": 5,
    "logging_enable": False,
}
"""The client's own retries are short: the ledger reads back and retries, and so does the host after it."""

GARBLED = (HTTPException, ValueError)
"""Errors that azure-core does not wrap when it reads a truncated or garbled answer to a transaction."""


class AzureTable:
    """One partition of a table in a storage account. If the table is missing, the first call creates it.

    Args:
        connect: Returns a client. It is called once, with the first call.
        described: The table and its account, for errors. It holds no secret.
    """

    def __init__(self, connect: Callable[[], TableClient], *, described: str) -> None:
        self._connect = connect
        self._described = described
        self._client: TableClient | None = None
        self._lock = threading.Lock()

    def transact(self, operations: Sequence[Operation]) -> Sequence[str]:
        """See `Table.transact`."""
        if len(operations) > MAX_OPERATIONS:
            raise RowRefused(
                f"a transaction of {len(operations)} operations; at most {MAX_OPERATIONS} are allowed"
            )
        request = [_encode(operation) for operation in operations]

        def carry_out(client: TableClient) -> Sequence[str]:
            answers = client.submit_transaction(request)
            if len(answers) != len(request):
                raise TableUnavailable(f"{self._described}: the answer was truncated")
            return [str(answer.get("etag") or "") for answer in answers]

        return self._call(carry_out)

    def get(self, key: str) -> Row | None:
        """See `Table.get`."""
        from azure.core.exceptions import ResourceNotFoundError

        def read(client: TableClient) -> Row | None:
            try:
                return _decode(client.get_entity(PARTITION, key))
            except ResourceNotFoundError as error:
                if _code(error) == "TableNotFound":
                    raise
                return None

        return self._call(read)

    def page(
        self, start: str, end: str, *, limit: int = PAGE_ROWS, continuation: str | None = None
    ) -> Page:
        """See `Table.page`."""
        # The service's own continuation tokens end with this call: one that it refuses later would stop the reader.
        begin = "RowKey ge @begin" if continuation is None else "RowKey gt @begin"
        query = f"PartitionKey eq @partition and {begin} and RowKey lt @end"
        keys = {"partition": PARTITION, "begin": continuation or start, "end": end}
        dates: list[str | None] = []

        def read(client: TableClient) -> Page:
            pages = client.query_entities(
                query,
                parameters=keys,
                results_per_page=min(limit, PAGE_ROWS),
                raw_response_hook=lambda answer: dates.append(
                    answer.http_response.headers.get("Date")
                ),
            ).by_page()
            rows: list[Row] = []
            more = True
            while more and not rows:
                rows = [_decode(entity) for entity in next(pages, ())]
                more = bool(getattr(pages, "continuation_token", None))
            return Page(rows, rows[-1].key if more else None, _date(dates[-1] if dates else None))

        return self._call(read)

    def close(self) -> None:
        """Close the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _connected(self) -> TableClient:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    def _call[T](self, call: Callable[[TableClient], T]) -> T:
        try:
            return self._translated(call)
        except _TableMissingError:
            self._translated(_create_table)
            return self._translated(call)

    def _translated[T](self, call: Callable[[TableClient], T]) -> T:
        """Call, and translate the client's errors into those of `Table`."""
        import requests
        import urllib3
        from azure.core.exceptions import AzureError

        from shared.core.errors import TokenUnavailable

        client = self._connected()
        try:
            return call(client)
        except AzureError as error:
            code = _code(error)
            text = f"{self._described}: {redact(_summary(error))}"
            if code == "TableNotFound":
                raise _TableMissingError(text) from error
            if code in CONFLICTS:
                raise RowConflict(text) from error
            if code in REFUSALS:
                raise RowRefused(text) from error
            raise TableUnavailable(text) from error
        except TokenUnavailable as error:
            raise TableUnavailable(f"{self._described}: {error}") from error
        except (*GARBLED, requests.RequestException, urllib3.exceptions.HTTPError) as error:
            raise TableUnavailable(
                f"{self._described}: the answer was unreadable: {type(error).__name__}"
            ) from error


class _TableMissingError(Exception):
    """The table does not exist yet."""


def _create_table(client: TableClient) -> None:
    from azure.core.exceptions import ResourceExistsError

    try:
        client.create_table()
    except ResourceExistsError:
        return  # another instance was faster


def _encode(operation: Operation) -> tuple[Any, ...]:
    from azure.core import MatchConditions
    from azure.data.tables import UpdateMode

    entity: dict[str, Any] = {"PartitionKey": PARTITION, "RowKey": operation.key}
    match operation:
        case Insert(values=values):
            return ("create", {**entity, **values})
        case Delete(etag=None):
            return ("delete", entity)
        case Delete(etag=etag):
            unchanged = {"etag": etag, "match_condition": MatchConditions.IfNotModified}
            return ("delete", entity, unchanged)
        case Merge(values=values, etag=None):
            return ("upsert", {**entity, **values}, {"mode": UpdateMode.MERGE})
        case Merge(values=values, etag=etag):
            return (
                "update",
                {**entity, **values},
                {
                    "mode": UpdateMode.MERGE,
                    "etag": etag,
                    "match_condition": MatchConditions.IfNotModified,
                },
            )


def _decode(entity: TableEntity) -> Row:
    values = {
        name: value for name, value in entity.items() if name not in {"PartitionKey", "RowKey"}
    }
    return Row(entity["RowKey"], values, str(entity.metadata["etag"]))


def _date(header: str | None) -> datetime | None:
    """Read a `Date` header. The client has already refused an answer whose header is no date."""
    if header is None:
        return None
    date = parsedate_to_datetime(header)
    return date.replace(tzinfo=date.tzinfo or UTC)


def _code(error: Exception) -> str:
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def _summary(error: Exception) -> str:
    """Return the status, the code and the first line of the service's message. The other lines are ids and times."""
    lines = str(error).splitlines()
    status = getattr(error, "status_code", None)
    return f"{status or type(error).__name__} {_code(error)} {lines[0] if lines else ''}".strip()
