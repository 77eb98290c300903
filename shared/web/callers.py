"""Identifies the caller and checks its role, if App Service authentication is on and `API_ROLES` is `on`.

App Service authentication sets `X-MS-CLIENT-PRINCIPAL` on each request and removes the header that a caller sent. The
header is base64 of `{"auth_typ", "name_typ", "role_typ", "claims": [{"typ", "val"}]}` (Microsoft Learn: Work with user
identities in Azure App Service authentication). Without App Service authentication any caller could forge the header.
The app does not read it then.

Which roles a route allows is declared beside its handler (`web/api/routes.py`): only an `operator` may call `replay`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.core.errors import MissingRole, NotSignedIn

HEADER = "x-ms-client-principal"

MAX_HEADER_LENGTH = 64 * 1024
"""Characters of the header that are read. App Service's own limit for all headers is lower."""

MAX_NAME_LENGTH = 120
"""Characters of a caller's name that the ledger keeps."""

_ROLE_CLAIMS = {"roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"}
_NAME_CLAIMS = (
    "preferred_username",
    "name",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name",
    "appid",
    "azp",
    "http://schemas.microsoft.com/identity/claims/objectidentifier",
    "oid",
)
"""Claims that name a caller, the most readable first. An application has no user name, only an id."""


class Role(StrEnum):
    """An app role that a caller may have."""

    SUBMITTER = "submitter"
    """Start triggers, and read the results."""
    READER = "reader"
    """Read triggers, submissions and previews."""
    OPERATOR = "operator"
    """Everything, including overriding triggers and replaying, dropping and canceling submissions."""


NO_ROLE: tuple[Role, ...] = ()
"""For routes that everyone may call."""
EVERY_ROLE = (Role.SUBMITTER, Role.READER, Role.OPERATOR)
READERS = (Role.READER, Role.OPERATOR)
SUBMITTERS = (Role.SUBMITTER, Role.OPERATOR)
OPERATORS = (Role.OPERATOR,)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The caller of a route."""

    name: str | None = None
    """The caller's name. None if roles are off, or if no claim names the caller."""
    roles: frozenset[str] = frozenset()
    """The caller's app roles."""

    def require(self, allowed: Iterable[Role]) -> None:
        """Check that the caller has one of the allowed roles.

        Raises:
            MissingRole: The caller has none of them.
        """
        names = [role.value for role in allowed]
        if not self.roles & set(names):
            raise MissingRole(
                f"the caller needs the role {' or '.join(names)}; assign it in the app registration"
            )


def read_caller(headers: Mapping[str, str]) -> Caller:
    """Return the caller that App Service authentication identified.

    Raises:
        NotSignedIn: The header is missing or cannot be read.
    """
    header = headers.get(HEADER, "")
    if not header:
        raise NotSignedIn("the request has no signed-in caller; sign in, or send an access token")
    try:
        principal = json.loads(base64.b64decode(header[:MAX_HEADER_LENGTH], validate=True))
        claims = [(str(claim["typ"]), str(claim["val"])) for claim in principal["claims"]]
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise NotSignedIn(
            f"the header {HEADER} cannot be read; expected base64 of a JSON object with claims"
        ) from error
    return Caller(name=_name(principal, claims), roles=frozenset(_roles(principal, claims)))


def _roles(principal: Mapping[str, Any], claims: list[tuple[str, str]]) -> Iterable[str]:
    types = _ROLE_CLAIMS | {str(principal.get("role_typ") or "roles")}
    return (value for kind, value in claims if kind in types)


def _name(principal: Mapping[str, Any], claims: list[tuple[str, str]]) -> str | None:
    # Reversed, so that the first claim of a type wins.
    first = dict(reversed(claims))
    for kind in (str(principal.get("name_typ") or ""), *_NAME_CLAIMS):
        if name := first.get(kind, "").strip():
            # The name reaches the ledger, logs and pages. It must not break a line or a header.
            return "".join(one if one.isprintable() else "�" for one in name)[:MAX_NAME_LENGTH]
    return None
