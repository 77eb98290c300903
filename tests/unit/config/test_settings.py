"""App settings, read as the Functions host reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.settings import Connection, Service, Settings, storage_endpoint
from shared.core.errors import SettingError

HERE = Path("/app")
PLAIN = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net"


def test_nothing_set_means_the_defaults() -> None:
    assert Settings.read({}, app_dir=HERE) == Settings(
        triggers_file=HERE / "triggers.yaml",
        ledger_connection="AzureWebJobsStorage",
        ledger_table="pipelinetriggers",
    )


def test_an_empty_setting_counts_as_missing() -> None:
    names = ("TRIGGERS_FILE", "LEDGER_CONNECTION", "LEDGER_TABLE", "API_ROLES")
    assert Settings.read(dict.fromkeys(names, " "), app_dir=HERE) == Settings.read({}, app_dir=HERE)


def test_everything_can_be_set() -> None:
    settings = {
        "TRIGGERS_FILE": "other.yaml",
        "LEDGER_CONNECTION": "Ledger",
        "LEDGER_TABLE": "Table2",
    }
    assert Settings.read(settings, app_dir=HERE) == Settings(
        triggers_file=HERE / "other.yaml",
        ledger_connection="Ledger",
        ledger_table="Table2",
    )


def test_an_absolute_file_stays_where_it_is() -> None:
    settings = Settings.read({"TRIGGERS_FILE": "/etc/triggers.yaml"}, app_dir=HERE)
    assert settings.triggers_file == Path("/etc/triggers.yaml")


@pytest.mark.parametrize("name", ["ab", "1abc", "a-b-c", "tables", "Tables", "a" * 64, "täble"])
def test_a_table_name_that_azure_refuses_is_refused_here(name: str) -> None:
    with pytest.raises(SettingError) as caught:
        Settings.read({"LEDGER_TABLE": name}, app_dir=HERE)
    assert caught.value.setting == "LEDGER_TABLE"
    assert "3 to 63 letters and digits" in str(caught.value)


@pytest.mark.parametrize("service", ["table", "blob"])
def test_a_plain_connection_string_wins(service: Service) -> None:
    settings = {
        "X": PLAIN,
        "X__tableServiceUri": "https://b.table.core.windows.net",
        "X__blobServiceUri": "https://b.blob.core.windows.net",
    }
    assert storage_endpoint(settings, "X", service=service) == Connection(
        name="X", connection_string=PLAIN
    )


def test_the_services_own_uri_comes_with_the_connections_identity() -> None:
    settings = {
        "X__tableServiceUri": "https://a.table.core.windows.net/",
        "X__blobServiceUri": "https://a.blob.core.windows.net",
        "X__credential": "ManagedIdentity",
        "X__clientId": "id",
    }
    assert storage_endpoint(settings, "X", service="table") == Connection(
        name="X", endpoint="https://a.table.core.windows.net", client_id="id"
    )
    assert storage_endpoint(settings, "X", service="blob") == Connection(
        name="X", endpoint="https://a.blob.core.windows.net", client_id="id"
    )


def test_the_blob_service_may_be_told_by_service_uri_too() -> None:
    settings = {"X__serviceUri": "https://a.blob.core.windows.net"}
    found = storage_endpoint(settings, "X", service="blob")
    assert found == Connection(name="X", endpoint="https://a.blob.core.windows.net")
    with pytest.raises(SettingError, match="neither X nor X__tableServiceUri"):
        storage_endpoint(settings, "X", service="table")


@pytest.mark.parametrize("service", ["table", "blob"])
def test_the_hosts_own_storage_may_be_told_by_its_account(service: Service) -> None:
    settings = {"AzureWebJobsStorage__accountName": "acct"}
    found = storage_endpoint(settings, "AzureWebJobsStorage", service=service)
    assert found.endpoint == f"https://acct.{service}.core.windows.net"


def test_no_other_connection_may_be_told_by_its_account() -> None:
    with pytest.raises(SettingError) as caught:
        storage_endpoint({"X__accountName": "acct"}, "X", service="blob")
    assert str(caught.value) == (
        "no blob storage is set for the connection X: found neither X, X__blobServiceUri nor X__serviceUri; "
        "set a connection string, or the endpoint that the app's identity may use"
    )


@pytest.mark.parametrize(
    "uri", ["http://a.blob.core.windows.net", "a.blob.core.windows.net", "https://", "ftp://x"]
)
def test_an_endpoint_that_is_not_https_is_refused(uri: str) -> None:
    with pytest.raises(SettingError, match="is not an https URL") as caught:
        storage_endpoint({"X__blobServiceUri": uri}, "X", service="blob")
    assert caught.value.setting == "X__blobServiceUri"


def test_an_endpoint_with_a_sas_is_refused_without_showing_it() -> None:
    uri = "https://a.blob.core.windows.net/?sig=secret"
    with pytest.raises(SettingError, match="has a query") as caught:
        storage_endpoint({"X__blobServiceUri": uri}, "X", service="blob")
    assert "secret" not in str(caught.value)


def test_another_kind_of_credential_is_refused() -> None:
    settings = {"X__blobServiceUri": "https://a.blob.core.windows.net", "X__credential": "key"}
    with pytest.raises(SettingError) as caught:
        storage_endpoint(settings, "X", service="blob")
    assert caught.value.setting == "X__credential"


def test_a_connection_never_shows_its_string() -> None:
    connection = storage_endpoint({"X": PLAIN}, "X", service="blob")
    assert "c2VjcmV0" not in repr(connection) + str(connection)


@pytest.mark.parametrize(
    ("environment", "roles", "ignored"),
    [
        ({}, False, False),
        ({"API_ROLES": "off", "WEBSITE_AUTH_ENABLED": "True"}, False, False),
        ({"WEBSITE_AUTH_ENABLED": "True"}, False, False),
        ({"API_ROLES": "on"}, False, True),
        ({"API_ROLES": "on", "WEBSITE_AUTH_ENABLED": "False"}, False, True),
        ({"API_ROLES": " ON ", "WEBSITE_AUTH_ENABLED": "True"}, True, False),
    ],
)
def test_roles_are_on_only_where_the_platform_signs_callers_in(
    environment: dict[str, str], roles: bool, ignored: bool
) -> None:
    settings = Settings.read(environment, app_dir=Path("/app"))
    assert (settings.roles, settings.roles_ignored) == (roles, ignored)


def test_a_word_for_roles_that_is_neither_on_nor_off_is_refused() -> None:
    with pytest.raises(SettingError, match="on or off"):
        Settings.read({"API_ROLES": "yes"}, app_dir=Path("/app"))
