"""HEADs over loopback. Azurite has the tests of names and of real properties, in `tests/integration/test_blobs.py`."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from local.standins.http_server import Answer
from shared.clients.blob_storage import Blobs
from shared.clients.identity import Tokens
from shared.core.errors import SettingError, StorageUnavailable, Unavailable
from shared.core.events import BlobFacts
from tests.unit.clients.doubles import Authority, Service, StaticTokens, serve

HEADERS = {
    "ETag": '"0x8D"',
    "Last-Modified": "Sat, 27 Mar 2027 01:30:00 GMT",
    "x-ms-meta-kind": "new",
}

type OpenBlobs = Callable[[Service], Blobs]


@pytest.fixture
def open_blobs(stack: ExitStack) -> OpenBlobs:
    """Give a function that opens blob storage at a service, with a key."""

    def open_at(service: Service) -> Blobs:
        server = serve(stack, service)
        connection = f"AccountName=acct;AccountKey=c2VjcmV0;BlobEndpoint={server.url}/acct"
        blobs = Blobs({"Data": connection}, tokens=Tokens({}), wait=timedelta())
        stack.callback(blobs.close)
        return blobs

    return open_at


def found(headers: Mapping[str, str] = HEADERS, size: int = 5) -> Service:
    return Service(lambda _: Answer(headers=headers, body=b" " * size))


def test_the_properties_of_a_blob_are_read_from_the_answer(open_blobs: OpenBlobs) -> None:
    service = found()
    facts = open_blobs(service).head("Data", "c", "in/a b.csv")
    (request,) = service.requests
    assert request.method == "HEAD"
    assert request.path == "/acct/c/in/a%20b.csv"
    assert facts == BlobFacts(
        account="acct",
        container="c",
        path="in/a b.csv",
        url=f"{request.base_url}/acct/c/in/a%20b.csv",
        etag="0x8D",
        size=5,
        last_modified=datetime(2027, 3, 27, 1, 30, tzinfo=UTC),
        metadata={"kind": "new"},
    )


def test_a_weak_etag_is_the_same_etag(open_blobs: OpenBlobs) -> None:
    facts = open_blobs(found({**HEADERS, "ETag": 'W/"0x8D"'})).head("Data", "c", "a")
    assert facts is not None
    assert facts.etag == "0x8D"


def test_a_missing_blob_is_none(open_blobs: OpenBlobs) -> None:
    headers = {"x-ms-error-code": "BlobNotFound"}
    service = Service(lambda _: Answer(status=404, headers=headers))
    assert open_blobs(service).head("Data", "c", "a") is None
    assert len(service.requests) == 1


@pytest.mark.parametrize("name", ["a/../b.csv", "./b.csv", "..", "a/.", "."])
def test_a_name_that_no_url_can_carry_is_not_requested(
    open_blobs: OpenBlobs, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    service = found()
    with caplog.at_level(logging.WARNING):
        assert open_blobs(service).head("Data", "c", name) is None
    assert not service.requests
    assert "no HTTP client can request" in caplog.text


def test_a_head_is_retried_twice(open_blobs: OpenBlobs) -> None:
    service = Service(lambda _: Answer(status=503, headers={"x-ms-error-code": "ServerBusy"}))
    with pytest.raises(StorageUnavailable) as caught:
        open_blobs(service).head("Data", "c", "a")
    assert len(service.requests) == 3
    assert isinstance(caught.value, Unavailable)
    assert "storage account acct (connection Data) answered 503 (ServerBusy)" in str(caught.value)


def test_a_connection_is_kept_for_the_next_blob(open_blobs: OpenBlobs) -> None:
    service = found()
    blobs = open_blobs(service)
    for name in ("a", "b"):
        assert blobs.head("Data", "c", name) is not None
    assert len(set(service.connections)) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_named_by_its_setting(open_blobs: OpenBlobs, status: int) -> None:
    headers = {"x-ms-error-code": "AuthenticationFailed"}
    with pytest.raises(StorageUnavailable) as caught:
        open_blobs(Service(lambda _: Answer(status=status, headers=headers))).head("Data", "c", "a")
    assert str(caught.value) == (
        f"storage account acct (connection Data) answered {status} (AuthenticationFailed): the key or SAS in app "
        "setting Data is not accepted, or the account's firewall blocks the app"
    )


def test_a_missing_role_is_named_with_the_identity(stack: ExitStack, authority: Authority) -> None:
    service = Service(lambda _: Answer(status=403, headers={"x-ms-error-code": "Mismatch"}))
    server = serve(stack, service, tls=authority.server("localhost"))
    blobs = Blobs(
        {"Data__blobServiceUri": f"https://localhost:{server.port}"},
        tokens=StaticTokens(),
        wait=timedelta(),
    )
    stack.callback(blobs.close)
    with pytest.raises(StorageUnavailable) as caught:
        blobs.head("Data", "c", "a")
    assert "(connection Data) answered 403 (Mismatch) to your own login. Assign it the role" in str(
        caught.value
    )


@pytest.mark.parametrize("connection", ["nonsense", "AccountKey=a", "a=b;c"])
def test_a_setting_that_is_no_connection_string_is_an_error_that_names_it(connection: str) -> None:
    with pytest.raises(
        SettingError, match="app setting Data is not a storage connection"
    ) as caught:
        Blobs({"Data": connection}, tokens=Tokens({})).head("Data", "c", "a")
    assert caught.value.setting == "Data"
