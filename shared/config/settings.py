"""The app settings, read as the Functions host reads them.

The app's own clients find a storage account by the same settings as the host's triggers. So both always use the same
account.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from shared.core.errors import SettingError

type Service = Literal["table", "blob"]

HOST_STORAGE = "AzureWebJobsStorage"
"""The connection of the host itself. It is the only one for which the name of the account is enough, as in the host's
blob binding for Python (`azurefunctions/extensions/bindings/blob/utils.py`)."""

TABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{2,62}")
"""Rule for names of tables (Azure documentation "Understanding the Table service data model")."""

_MANAGED_IDENTITY = "managedidentity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of the app itself."""

    triggers_file: Path
    """The path of the triggers file."""
    ledger_connection: str = HOST_STORAGE
    """Name or prefix of the storage connection of the ledger."""
    ledger_table: str = "pipelinetriggers"
    """The name of the ledger's table."""
    roles: bool = False
    """Whether callers of the HTTP API need a role.

    It takes `API_ROLES` and App Service authentication. The platform sets `WEBSITE_AUTH_ENABLED` for the latter.
    """
    roles_ignored: bool = False
    """Whether `API_ROLES` is `on` without effect, because App Service authentication is off."""

    @classmethod
    def read(cls, environment: Mapping[str, str], *, app_dir: Path) -> Settings:
        """Read the settings. An empty setting counts as missing.

        Args:
            environment: The app settings by name.
            app_dir: The folder of `function_app.py`. A relative `TRIGGERS_FILE` is below it.

        Raises:
            SettingError: A setting has a value that cannot be used.
        """
        table = environment.get("LEDGER_TABLE", "").strip() or "pipelinetriggers"
        if not TABLE_NAME.fullmatch(table) or table.lower() == "tables":
            raise SettingError(
                "LEDGER_TABLE",
                f"app setting LEDGER_TABLE is {table!r}; the name of a table has 3 to 63 letters and digits, "
                "begins with a letter, and is not 'tables'",
            )
        roles = environment.get("API_ROLES", "").strip().lower() or "off"
        if roles not in ("on", "off"):
            raise SettingError(
                "API_ROLES", f"app setting API_ROLES is {roles!r}; allowed are on or off"
            )
        signed_in = environment.get("WEBSITE_AUTH_ENABLED", "").strip().lower() == "true"
        file = environment.get("TRIGGERS_FILE", "").strip() or "triggers.yaml"
        return cls(
            triggers_file=app_dir / file,
            ledger_connection=environment.get("LEDGER_CONNECTION", "").strip() or HOST_STORAGE,
            ledger_table=table,
            roles=roles == "on" and signed_in,
            roles_ignored=roles == "on" and not signed_in,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A connection to a storage service: a connection string, or an endpoint with an identity."""

    name: str
    """Name or prefix of the connection in the settings."""
    connection_string: str | None = field(default=None, repr=False)
    """It holds a key or a SAS, so it is never shown."""
    endpoint: str | None = None
    """The URL of the service, if an identity is used."""
    client_id: str | None = None
    """The user-assigned identity of the connection. None: the app's own identity."""


def storage_endpoint(
    settings: Mapping[str, str], connection: str, *, service: Service
) -> Connection:
    """Return a storage connection. A plain `X` has precedence over `X__tableServiceUri` and `X__blobServiceUri`.

    Args:
        settings: The app settings by name.
        connection: The name or prefix of the connection, as in any Functions binding.
        service: The service of the storage account.

    Raises:
        SettingError: The connection is not set, or its settings cannot be used. The message names the settings.
    """
    plain = settings.get(connection, "").strip()
    if plain:
        return Connection(name=connection, connection_string=plain)
    name, endpoint = _endpoint(settings, connection, service)
    parts = urlsplit(endpoint)
    if parts.scheme != "https" or not parts.hostname:
        raise SettingError(
            name,
            f"app setting {name} is not an https URL; expected https://<account>.{service}.core.windows.net",
        )
    if parts.query:
        raise SettingError(
            name,
            f"app setting {name} has a query; an endpoint for an identity has no SAS. "
            f"Put a connection string with a SAS in {connection} instead",
        )
    credential = settings.get(f"{connection}__credential", "").strip()
    if credential and credential.lower() != _MANAGED_IDENTITY:
        raise SettingError(
            f"{connection}__credential",
            f"app setting {connection}__credential is not 'managedidentity', which is the only allowed value; "
            "correct it or remove it",
        )
    client_id = settings.get(f"{connection}__clientId", "").strip() or None
    return Connection(name=connection, endpoint=endpoint.rstrip("/"), client_id=client_id)


def blob_connection_problem(settings: Mapping[str, str], connection: str) -> str | None:
    """Return the reason why a connection cannot be used for blobs, as a sentence, or None."""
    try:
        storage_endpoint(settings, connection, service="blob")
    except SettingError as error:
        return str(error)
    return None


def _endpoint(settings: Mapping[str, str], connection: str, service: Service) -> tuple[str, str]:
    """Return the URL of a service, after the name of the setting that has it.

    Raises:
        SettingError: No setting has it.
    """
    names = [f"{connection}__{service}ServiceUri"]
    if service == "blob":
        names.append(f"{connection}__serviceUri")
    for name in names:
        if value := settings.get(name, "").strip():
            return name, value
    if connection == HOST_STORAGE:
        names.append(f"{connection}__accountName")
        if account := settings.get(names[-1], "").strip():
            return names[-1], f"https://{account}.{service}.core.windows.net"
    expected = ", ".join([connection, *names[:-1]]) + f" nor {names[-1]}"
    raise SettingError(
        connection,
        f"no {service} storage is set for the connection {connection}: found neither {expected}; "
        "set a connection string, or the endpoint that the app's identity may use",
    )
