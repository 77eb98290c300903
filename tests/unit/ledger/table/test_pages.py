"""Pages of Azure Table Storage: they go on after a key, and what the service refuses is an error of the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from azure.data.tables import TableClient

from local.standins.http_server import Answer, HttpServer, IncomingRequest
from local.testing.app import NOON
from shared.core.errors import LedgerUnavailable
from shared.ledger.ledger import Ledger
from shared.ledger.table.azure import CLIENT_OPTIONS, AzureTable
from shared.ledger.table.errors import RowRefused, TableUnavailable
from shared.ledger.table.guarded import GuardedTable

NEXT = {"x-ms-continuation-NextPartitionKey": "v1", "x-ms-continuation-NextRowKey": "b"}


class TableService:
    """Gives its answers one after the other, and the last one again and again."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.requests: list[IncomingRequest] = []

    def __call__(self, request: IncomingRequest) -> Answer:
        self.requests.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def service() -> TableService:
    """Return a table service without answers yet."""
    return TableService()


@pytest.fixture
def table(service: TableService) -> Iterator[AzureTable]:
    """Give a table of the service."""
    with HttpServer(service) as server:

        def connect() -> TableClient:
            return TableClient.from_connection_string(
                f"AccountName=a;AccountKey=c2VjcmV0;TableEndpoint={server.url}/a",
                "ledger",
                **{**CLIENT_OPTIONS, "retry_backoff_factor": 0},
            )

        opened = AzureTable(connect, described="the table")
        yield opened
        opened.close()


def found(*keys: str, headers: dict[str, str] | None = None) -> Answer:
    entities = [{"PartitionKey": "v1", "RowKey": key, "odata.etag": "e"} for key in keys]
    return Answer.json({"value": entities}, headers=headers)


def refused(code: str) -> Answer:
    body = {"odata.error": {"code": code, "message": {"lang": "en-US", "value": "no"}}}
    return Answer.json(body, status=400, headers={"x-ms-error-code": code})


def test_a_page_goes_on_after_its_last_key_and_not_with_the_services_token(
    service: TableService, table: AzureTable
) -> None:
    service.answers = [found("a:1", "a:2", headers=NEXT), found("a:3")]
    page = table.page("a:", "a;", limit=2)
    assert ([row.key for row in page.rows], page.continuation) == (["a:1", "a:2"], "a:2")
    page = table.page("a:", "a;", limit=2, continuation=page.continuation)
    assert ([row.key for row in page.rows], page.continuation) == (["a:3"], None)
    assert "RowKey gt 'a:2'" in service.requests[1].query["$filter"]
    assert "NextRowKey" not in service.requests[1].query


def test_an_empty_page_that_is_not_the_last_one_is_read_past(
    service: TableService, table: AzureTable
) -> None:
    """The service may answer without rows, and with a token, after 5 seconds of searching."""
    service.answers = [found(headers=NEXT), found("b:1")]
    page = table.page("a:", "c;")
    assert ([row.key for row in page.rows], page.continuation) == (["b:1"], None)
    assert service.requests[1].query["NextRowKey"] == "b"


def test_a_page_has_the_services_date(service: TableService, table: AzureTable) -> None:
    service.answers = [found("a:1", headers={"Date": "Sat, 27 Mar 2027 12:00:00 GMT"})]
    assert table.page("a:", "a;").date == NOON


def test_an_answer_whose_date_is_none_is_unusable(service: TableService, table: AzureTable) -> None:
    service.answers = [found("a:1", headers={"Date": "yesterday"})]
    with pytest.raises(TableUnavailable):
        table.page("a:", "a;")


@pytest.mark.parametrize("code", ["OutOfRangeInput", "InvalidInput", "ConditionNotMet", "Unknown"])
def test_a_read_that_the_service_refuses_is_an_error_of_the_ledger(
    service: TableService, table: AzureTable, code: str
) -> None:
    service.answers = [refused(code)]
    guarded = GuardedTable(table)
    for read in (
        lambda: guarded.get("a"),
        lambda: guarded.page("a", "b"),
        lambda: list(guarded.range("a", "b")),
    ):
        with pytest.raises(LedgerUnavailable, match=code):
            read()


def test_a_refusal_is_told_from_an_outage_below(service: TableService, table: AzureTable) -> None:
    service.answers = [refused("OutOfRangeInput")]
    with pytest.raises(RowRefused):
        table.page("a", "b")


@pytest.mark.parametrize(
    "position",
    [
        json.dumps({"PartitionKey": "1!4!djE-", "RowKey": "1!48!c3ViOg--"}),
        "sub:\x00",
        "due:20270327",
        "sub:" + "f" * 2_000,
    ],
)
def test_a_position_of_the_repair_walk_that_is_no_key_begins_the_walk_anew(
    service: TableService, table: AzureTable, position: str
) -> None:
    service.answers = [found()]
    assert Ledger(table).due.repair(position, now=NOON, limit=100) == ""
    (request,) = service.requests
    assert "RowKey ge 'sub:'" in request.query["$filter"]
    assert "NextRowKey" not in request.query
