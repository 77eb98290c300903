"""Storage by identity: ledger and HEAD with bearer tokens over TLS, as in Azure. Azurite checks only their claims."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import trustme
from azure.storage.blob import BlobServiceClient

from local.standins.azurite import ACCOUNT, KEY, Azurite
from local.standins.identity import IdentityEndpoint
from local.standins.workspace.server import WorkspaceStandIn
from shared.app import build
from shared.core.events import BlobNotification
from shared.core.submissions import State, Submission
from shared.operations.submissions import start

pytestmark = [pytest.mark.azurite, pytest.mark.xdist_group("azurite")]

TRIGGERS = """
datastores:
  lake: {connection: Lake, container: data}
pipelines:
  scoring: {kind: published_pipeline, endpoint: "${ENDPOINT}", experiment: E}
triggers:
  new-data:
    pipeline: scoring
    blob: {datastore: lake, path: incoming}
    data_paths: {input: "{{ blob.path }}"}
"""


@pytest.fixture
def tls_azurite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Azurite]:
    """Return an Azurite that speaks https and accepts bearer tokens, with an authority that our clients trust."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    ca, chain, key = (tmp_path / name for name in ("ca.pem", "chain.pem", "key.pem"))
    authority.cert_pem.write_to_path(str(ca))
    certificate.private_key_pem.write_to_path(str(key))
    for position, part in enumerate(certificate.cert_chain_pems):
        part.write_to_path(str(chain), append=position > 0)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(ca))
    with Azurite(certificate=(chain, key)) as running:
        yield running


def test_blobs_and_ledger_are_reached_with_one_token_for_storage(
    tls_azurite: Azurite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "triggers.yaml"
    file.write_text(TRIGGERS)
    credential = {"account_name": ACCOUNT, "account_key": KEY}
    with BlobServiceClient(tls_azurite.blob_endpoint, credential=credential) as storage:
        container = storage.create_container("data")
        container.upload_blob("incoming/a +%41.csv", b"1")
    with (
        IdentityEndpoint() as identity,
        WorkspaceStandIn(secret=identity.secret) as workspace,
    ):
        environment = {
            "TRIGGERS_FILE": str(file),
            "Lake__blobServiceUri": tls_azurite.blob_endpoint,
            "AzureWebJobsStorage__tableServiceUri": tls_azurite.table_endpoint,
            "AzureWebJobsStorage__credential": "managedidentity",
            "ENDPOINT": workspace.submit_url(),
            **identity.environment,
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        app = build(environment)
        for _ in range(3):
            result = start(
                app.services,
                BlobNotification(trigger="new-data", container="data", path="incoming/a +%41.csv"),
            )
            assert isinstance(result, Submission)
            assert result.state is State.SUBMITTED
        app.tick()
        app.close()
        assert len(workspace.submitted) == 1
        assert identity.counts == {
            "https://management.azure.com": 1,
            "https://storage.azure.com": 1,
        }


def test_without_a_token_the_tls_storage_refuses(tls_azurite: Azurite) -> None:
    answer = requests.get(f"{tls_azurite.blob_endpoint}/data/x", timeout=10)
    assert answer.status_code in {401, 403, 404}
