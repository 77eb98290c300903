"""The ledger's table is reached with its first call, by a connection string or by an identity."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from azure.core.credentials import AccessTokenInfo, TokenRequestOptions

from local.standins.http_server import Answer, HttpServer
from shared.clients.identity import Tokens
from shared.clients.table_storage import ledger_table
from shared.config.settings import Settings
from shared.core.errors import SettingError
from shared.ledger.table.errors import TableUnavailable
from tests.unit.clients.doubles import Authority, Service

SETTINGS = {"LEDGER_CONNECTION": "Ledger", "LEDGER_TABLE": "runs"}


class IdentityTokens(Tokens):
    """Gives tokens that name their identity."""

    def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        return AccessTokenInfo(f"{self.describe()} for {' '.join(scopes)}", 4_000_000_000)

    def for_client(self, client_id: str | None) -> Tokens:
        return IdentityTokens(self._environment, client_id=client_id)


def read_settings(environment: dict[str, str]) -> Settings:
    return Settings.read(environment, app_dir=Path("/app"))


def refuse() -> Service:
    return Service(
        lambda _: Answer(status=403, headers={"x-ms-error-code": "AuthorizationFailure"})
    )


def test_a_connection_string_is_used_with_its_key() -> None:
    service = refuse()
    with HttpServer(service) as server:
        connection = f"AccountName=a;AccountKey=c2VjcmV0;TableEndpoint={server.url}/a"
        environment = {**SETTINGS, "Ledger": connection}
        table = ledger_table(read_settings(environment), environment=environment, tokens=Tokens({}))
        with closing(table), pytest.raises(TableUnavailable) as caught:
            table.get("tick")
    (request,) = service.requests
    assert request.path == "/a/runs(PartitionKey='v1',RowKey='tick')"
    assert request.headers["Authorization"].startswith("SharedKey")
    assert str(caught.value).startswith("table runs of Ledger: 403 AuthorizationFailure")
    assert "c2VjcmV0" not in str(caught.value)


@pytest.mark.parametrize(
    ("client_id", "identity"),
    [
        (None, "the system-assigned managed identity"),
        ("client-a", "the managed identity with client id client-a"),
    ],
)
def test_an_endpoint_is_used_with_the_identity_that_the_connection_names(
    authority: Authority, client_id: str | None, identity: str
) -> None:
    service = refuse()
    with HttpServer(service, tls=authority.server("127.0.0.1")) as server:
        environment = {
            **SETTINGS,
            "Ledger__tableServiceUri": f"https://127.0.0.1:{server.port}",
            **({"Ledger__clientId": client_id} if client_id else {}),
        }
        tokens = IdentityTokens({"IDENTITY_ENDPOINT": "x", "IDENTITY_HEADER": "y"})
        table = ledger_table(read_settings(environment), environment=environment, tokens=tokens)
        with closing(table), pytest.raises(TableUnavailable):
            table.get("tick")
    assert {request.headers["Authorization"] for request in service.requests} == {
        f"Bearer {identity} for https://storage.azure.com/.default"
    }


def test_a_connection_that_is_not_set_is_an_error_at_once() -> None:
    with pytest.raises(SettingError, match="no table storage is set for the connection Ledger"):
        ledger_table(read_settings(SETTINGS), environment=SETTINGS, tokens=Tokens({}))


def test_the_package_is_imported_with_the_first_call_only() -> None:
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from shared.clients.identity import Tokens\n"
        "from shared.clients.table_storage import ledger_table\n"
        "from shared.config.settings import Settings\n"
        "environment = {'AzureWebJobsStorage': 'UseDevelopmentStorage=true'}\n"
        "settings = Settings.read(environment, app_dir=Path())\n"
        "ledger_table(settings, environment=environment, tokens=Tokens({})).close()\n"
        "assert 'azure.data.tables' not in sys.modules\n"
        "assert 'azure.identity' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
