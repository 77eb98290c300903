"""App settings, read as the Functions host reads them: what this app runs with, and where its storage is.

One source of truth: our own clients find an account by the very settings that the host's triggers use.
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
"""The connection the host itself uses: the only one that may be told by an account's name alone, as in the host's
blob binding for Python (`azurefunctions/extensions/bindings/blob/utils.py`)."""

TABLE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{2,62}")
"""Naming rule of tables (Azure documentation "Understanding the Table service data model")."""

_MANAGED_IDENTITY = "managedidentity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What this app itself is told by its settings.

    Attributes:
        triggers_file: What starts what.
        ledger_connection: Name or prefix of the storage connection that holds the ledger.
        ledger_table: The ledger's table.
        client_id: The user-assigned identity to use; the system-assigned one when None.
        roles: Whether callers of the HTTP API need a role: `API_ROLES` is `on`, and App Service authentication too
            (the platform sets `WEBSITE_AUTH_ENABLED` then).
        roles_ignored: Whether `API_ROLES` is `on` for nothing, because that is off.
    """

    triggers_file: Path
    ledger_connection: str = HOST_STORAGE
    ledger_table: str = "pipelinetriggers"
    client_id: str | None = None
    roles: bool = False
    roles_ignored: bool = False

    @classmethod
    def read(cls, environment: Mapping[str, str], *, app_dir: Path) -> Settings:
        """Read the settings; an empty one counts as missing.

        Args:
            environment: The app settings.
            app_dir: Where `function_app.py` is: a relative `TRIGGERS_FILE` is below it.

        Raises:
            SettingError: A setting cannot be used.
        """
        table = environment.get("LEDGER_TABLE", "").strip() or "pipelinetriggers"
        if not TABLE_NAME.fullmatch(table) or table.lower() == "tables":
            raise SettingError(
                "LEDGER_TABLE",
                f"app setting LEDGER_TABLE is {table!r}; a table's name has 3 to 63 letters and digits, "
                "begins with a letter, and is not 'tables'",
            )
        roles = environment.get("API_ROLES", "").strip().lower() or "off"
        if roles not in ("on", "off"):
            raise SettingError("API_ROLES", f"app setting API_ROLES is {roles!r}; it is on or off")
        signed_in = environment.get("WEBSITE_AUTH_ENABLED", "").strip().lower() == "true"
        file = environment.get("TRIGGERS_FILE", "").strip() or "triggers.yaml"
        return cls(
            triggers_file=app_dir / file,
            ledger_connection=environment.get("LEDGER_CONNECTION", "").strip() or HOST_STORAGE,
            ledger_table=table,
            client_id=environment.get("AZURE_CLIENT_ID", "").strip() or None,
            roles=roles == "on" and signed_in,
            roles_ignored=roles == "on" and not signed_in,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where a storage service is and how to be let in: either a connection string, or an endpoint and an identity.

    Attributes:
        name: The connection's name or prefix in the settings.
        connection_string: Holds a key or a SAS, so it is never shown.
        endpoint: The service's URL, for an identity.
        client_id: The user-assigned identity the connection names; the app's own when None.
    """

    name: str
    connection_string: str | None = field(default=None, repr=False)
    endpoint: str | None = None
    client_id: str | None = None


def storage_endpoint(
    settings: Mapping[str, str], connection: str, *, service: Service
) -> Connection:
    """Find a storage connection: a plain `X` wins over `X__tableServiceUri` or `X__blobServiceUri`.

    Args:
        settings: The app settings.
        connection: The name or prefix, as in any Functions binding.
        service: Which of the account's services.

    Raises:
        SettingError: Nothing is set, or what is set cannot be used; the message names what was looked for.
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
            f"app setting {name} has a query; an endpoint that goes with an identity holds no SAS. "
            f"Put a connection string with a SAS in {connection} instead",
        )
    credential = settings.get(f"{connection}__credential", "").strip()
    if credential and credential.lower() != _MANAGED_IDENTITY:
        raise SettingError(
            f"{connection}__credential",
            f"app setting {connection}__credential is not 'managedidentity', the only kind there is; "
            "remove it or correct it",
        )
    client_id = settings.get(f"{connection}__clientId", "").strip() or None
    return Connection(name=connection, endpoint=endpoint.rstrip("/"), client_id=client_id)


def blob_connection_problem(settings: Mapping[str, str], connection: str) -> str | None:
    """Return what keeps a connection from being used for blobs, as a sentence; None when nothing does."""
    try:
        storage_endpoint(settings, connection, service="blob")
    except SettingError as error:
        return str(error)
    return None


def _endpoint(settings: Mapping[str, str], connection: str, service: Service) -> tuple[str, str]:
    """Return the name and the value of the setting that tells a service's URL."""
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
    looked_for = ", ".join([connection, *names[:-1]]) + f" nor {names[-1]}"
    raise SettingError(
        connection,
        f"no {service} storage is set for the connection {connection}: found neither {looked_for}; "
        "set a connection string, or the endpoint that the app's identity may use",
    )
