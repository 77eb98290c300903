"""HEADs on Azurite: exact names, current facts, and errors that say how to fix them."""

from __future__ import annotations

import secrets
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from azure.core.credentials import AccessTokenInfo, TokenRequestOptions
from azure.storage.blob import BlobServiceClient, ContainerClient

from local.standins.azurite import Azurite
from local.standins.http_server import Answer, HttpServer, IncomingRequest
from shared.clients.blob_storage import Blobs
from shared.clients.identity import Tokens
from shared.core.errors import SettingError, StorageUnavailable, Unavailable
from shared.core.events import BlobFacts

pytestmark = [pytest.mark.azurite, pytest.mark.xdist_group("azurite")]

TOKENS = Tokens({})


@pytest.fixture
def container(azurite: Azurite) -> Iterator[ContainerClient]:
    with BlobServiceClient.from_connection_string(azurite.connection_string) as service:
        yield service.create_container(f"c{secrets.token_hex(8)}")


@pytest.fixture
def blobs(azurite: Azurite) -> Iterator[Blobs]:
    opened = Blobs({"Data": azurite.connection_string}, tokens=TOKENS)
    yield opened
    opened.close()


def head(blobs: Blobs, container: ContainerClient, path: str) -> BlobFacts | None:
    return blobs.head("Data", container.container_name, path)


@pytest.mark.parametrize(
    "name",
    [
        "a +%41 #?'\"b.csv",
        "x/😀/ünï.csv",
        "é" * 1_024,
        "a" * 1_024,
        " leading",
        "trailing ",
        "trailing.",
        "folder./file",
        "..a/..b..",
        "double//slash",
        "/leading",
        "trailing/",
        "%2E%2E/x",
        "a%2Fb",
        "a/%",
        "semi;x=y&z",
        "tab\tand\nline",
        "q?sig=1",
        "[x]~{y}",
    ],
    ids=lambda name: name[:20].encode("ascii", "backslashreplace").decode(),
)
def test_a_name_is_requested_exactly(blobs: Blobs, container: ContainerClient, name: str) -> None:
    container.upload_blob(name, b"12345")
    facts = head(blobs, container, name)
    (listed,) = container.list_blobs()
    assert facts is not None
    assert listed.name == name == facts.path
    assert facts.etag == listed.etag.strip('"')
    assert "?" not in facts.url
    assert facts.url.isascii()


def test_the_facts_are_those_of_the_blob_as_it_is_now(
    blobs: Blobs, container: ContainerClient
) -> None:
    container.upload_blob("in/a b.csv", b"1", metadata={"kind": "old"})
    first = head(blobs, container, "in/a b.csv")
    container.upload_blob("in/a b.csv", b"12345", overwrite=True, metadata={"kind": "new"})
    facts = head(blobs, container, "in/a b.csv")
    assert first is not None
    assert facts is not None
    assert first.etag != facts.etag
    assert '"' not in facts.etag
    assert facts.account == "devstoreaccount1"
    assert facts.container == container.container_name
    assert facts.url == f"{container.url}/in/a%20b.csv"
    assert facts.size == 5
    assert dict(facts.metadata) == {"kind": "new"}
    assert timedelta(minutes=-5) < datetime.now(UTC) - facts.last_modified < timedelta(minutes=5)
    assert not facts.is_folder


@pytest.mark.parametrize(
    ("metadata", "folder"),
    [
        ({"hdi_isfolder": "true"}, True),
        ({"Hdi_IsFolder": "True"}, True),
        ({"hdi_isfolder": "false"}, False),
        ({}, False),
    ],
)
def test_folder_markers_are_recognized(
    blobs: Blobs, container: ContainerClient, metadata: dict[str, str], folder: bool
) -> None:
    container.upload_blob("in", b"", metadata=metadata)
    facts = head(blobs, container, "in")
    assert facts is not None
    assert facts.is_folder is folder


def test_a_vanished_blob_or_container_is_none(blobs: Blobs, container: ContainerClient) -> None:
    assert head(blobs, container, "never") is None
    container.upload_blob("gone", b"1")
    container.delete_blob("gone")
    assert head(blobs, container, "gone") is None
    assert blobs.head("Data", "no-such-container", "x") is None


@pytest.mark.parametrize("name", ["a/../b.csv", "./b.csv", "..", "a/."])
def test_a_name_that_no_url_can_name_is_not_another_blob(
    blobs: Blobs, container: ContainerClient, name: str
) -> None:
    container.upload_blob("b.csv", b"another")
    assert head(blobs, container, name) is None


def test_all_threads_share_one_client_and_its_connections(
    azurite: Azurite, container: ContainerClient
) -> None:
    container.upload_blob("a", b"1")
    built = []

    class Counting(Blobs):
        def _build(self, *args: object) -> BlobServiceClient:
            built.append(args)
            return super()._build(*args)  # type: ignore[arg-type]  # whatever it was called with

    counting = Counting({"Data": azurite.connection_string}, tokens=TOKENS)
    start = threading.Barrier(16)

    def ask(_: int) -> str | None:
        start.wait()
        facts = head(counting, container, "a")
        return facts.etag if facts else None

    with ThreadPoolExecutor(16) as threads:
        assert len(set(threads.map(ask, range(16)))) == 1
    counting.close()
    assert len(built) == 1


def test_a_sas_does_not_come_into_the_url(azurite: Azurite, container: ContainerClient) -> None:
    from azure.storage.blob import ContainerSasPermissions, generate_container_sas

    container.upload_blob("a", b"1")
    assert container.account_name is not None
    sas = generate_container_sas(
        container.account_name,
        container.container_name,
        account_key=container.credential.account_key,
        permission=ContainerSasPermissions(read=True),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )
    connection = f"BlobEndpoint={azurite.blob_endpoint};SharedAccessSignature={sas}"
    blobs = Blobs({"Data": connection}, tokens=TOKENS)
    facts = head(blobs, container, "a")
    blobs.close()
    assert facts is not None
    assert facts.url == f"{container.url}/a"
    assert "sig=" not in repr(facts)


def test_a_key_that_is_refused_is_named_by_its_setting(
    azurite: Azurite, container: ContainerClient
) -> None:
    key = "d3Jvbmc="
    connection = (
        f"AccountName=devstoreaccount1;AccountKey={key};BlobEndpoint={azurite.blob_endpoint}"
    )
    blobs = Blobs({"Data": connection}, tokens=TOKENS, wait=timedelta())
    with pytest.raises(StorageUnavailable) as caught:
        head(blobs, container, "a")
    blobs.close()
    assert "answered 403" in str(caught.value)
    assert "app setting Data is not accepted" in str(caught.value)
    assert key not in str(caught.value)


def test_an_account_that_does_not_answer_is_worth_a_retry() -> None:
    with HttpServer(lambda _: Answer()) as server:
        url = server.url
    connection = f"AccountName=a;AccountKey=d3Jvbmc=;BlobEndpoint={url}/a"
    blobs = Blobs({"Data": connection}, tokens=TOKENS, wait=timedelta())
    with pytest.raises(StorageUnavailable) as caught:
        blobs.head("Data", "c", "a")
    blobs.close()
    assert isinstance(caught.value, Unavailable)
    assert "(connection Data) did not answer" in str(caught.value)


@pytest.mark.parametrize("connection", ["nonsense", "AccountKey=a", "a=b;c"])
def test_a_setting_that_is_no_connection_string_is_a_clear_error(connection: str) -> None:
    with pytest.raises(SettingError) as caught:
        Blobs({"Data": connection}, tokens=TOKENS).head("Data", "c", "a")
    assert caught.value.setting == "Data"


def test_a_connection_that_is_not_set_is_a_clear_error() -> None:
    with pytest.raises(SettingError, match="no blob storage is set for the connection Data"):
        Blobs({}, tokens=TOKENS).head("Data", "c", "a")


class NamedTokens(Tokens):
    """A managed identity without an endpoint."""

    def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        return AccessTokenInfo(f"token-for-{self.describe()}", 4_000_000_000)

    def for_client(self, client_id: str | None) -> Tokens:
        return NamedTokens(self._environment, client_id=client_id)


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """Return a server's TLS context for `localhost` that clients of this test trust."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


@pytest.mark.parametrize(
    ("client_id", "identity"),
    [
        (None, "the system-assigned managed identity"),
        ("client-a", "the managed identity with client id client-a"),
    ],
)
def test_a_missing_role_is_named_with_the_identity(
    certificate: ssl.SSLContext, client_id: str | None, identity: str
) -> None:
    seen: list[str] = []

    def refuse(request: IncomingRequest) -> Answer:
        seen.append(request.headers["Authorization"])
        return Answer(status=403, headers={"x-ms-error-code": "AuthorizationPermissionMismatch"})

    with HttpServer(refuse, tls=certificate) as server:
        settings = {"Data__blobServiceUri": f"https://localhost:{server.port}"}
        if client_id:
            settings |= {"Data__credential": "managedidentity", "Data__clientId": client_id}
        tokens = NamedTokens({"IDENTITY_ENDPOINT": "x", "IDENTITY_HEADER": "y"})
        blobs = Blobs(settings, tokens=tokens, wait=timedelta())
        with pytest.raises(StorageUnavailable) as caught:
            blobs.head("Data", "c", "a")
        blobs.close()
    text = str(caught.value)
    assert f"answered 403 (AuthorizationPermissionMismatch) to {identity}" in text
    assert "Storage Blob Data Reader" in text
    assert seen == [f"Bearer token-for-{identity}"]
    assert "token-for" not in text
