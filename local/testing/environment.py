"""Keeps the developer's own app settings away from the tests."""

from __future__ import annotations

from collections.abc import MutableMapping

APP_SETTINGS = {
    "API_ROLES",
    "BLOB_SOURCE",
    "DATA_CONTAINER",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "LEDGER_CONNECTION",
    "LEDGER_TABLE",
    "MSI_ENDPOINT",
    "SCORING_ENDPOINT",
    "TRIGGERS_FILE",
    "WEBSITE_AUTH_ENABLED",
}
"""The settings that the app, the sample and the platform name."""

PREFIXES = ("AZURE_", "AzureWebJobs", "DataStorage", "FUNCTIONS_")
"""Beginnings of further names: identities, and storage connections with their `__` siblings."""


def remove_app_settings(environment: MutableMapping[str, str]) -> None:
    """Remove all app settings from an environment, so that only a test's own settings count."""
    for name in list(environment):
        if name in APP_SETTINGS or name.startswith(PREFIXES):
            del environment[name]
