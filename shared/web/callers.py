"""Who calls, and what they may do, where App Service authentication is on and `API_ROLES` is `on`.

App Service puts `X-MS-CLIENT-PRINCIPAL` on each request itself then, and takes away what a caller sent: base64 of
`{"auth_typ", "name_typ", "role_typ", "claims": [{"typ", "val"}]}` (Microsoft Learn: Work with user identities in Azure
App Service authentication). Without it anybody could send that header, so it is not even read.
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
MAX_NAME_LENGTH = 120

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


class Role(StrEnum):
    """What a caller may do."""

    SUBMITTER = "submitter"
    """Start triggers, and ask what came of it."""
    READER = "reader"
    """See everything."""
    OPERATOR = "operator"
    """Everything, also switch triggers and act on submissions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls; the name is None where roles are off, or told none."""

    name: str | None = None
    roles: frozenset[str] = frozenset()

    def require(self, allowed: Iterable[Role]) -> None:
        """Check that the caller has one of some roles.

        Raises:
            MissingRole: They have none of them.
        """
        wanted = [role.value for role in allowed]
        if not self.roles & set(wanted):
            raise MissingRole(f"this needs the role {' or '.join(wanted)}")


def read_caller(headers: Mapping[str, str]) -> Caller:
    """Return who App Service says is calling.

    Raises:
        NotSignedIn: There is no such header, or it cannot be read.
    """
    header = headers.get(HEADER, "")
    if not header:
        raise NotSignedIn("sign in: App Service told nobody's name")
    try:
        principal = json.loads(base64.b64decode(header[:MAX_HEADER_LENGTH], validate=True))
        claims = [(str(claim["typ"]), str(claim["val"])) for claim in principal["claims"]]
    except (ValueError, KeyError, TypeError, RecursionError, binascii.Error) as error:
        raise NotSignedIn("what App Service told of the caller cannot be read") from error
    return Caller(name=_name(principal, claims), roles=frozenset(_roles(principal, claims)))


def _roles(principal: Mapping[str, Any], claims: list[tuple[str, str]]) -> Iterable[str]:
    kinds = _ROLE_CLAIMS | {str(principal.get("role_typ") or "roles")}
    return (value for kind, value in claims if kind in kinds)


def _name(principal: Mapping[str, Any], claims: list[tuple[str, str]]) -> str | None:
    first = dict(reversed(claims))
    for kind in (str(principal.get("name_typ") or ""), *_NAME_CLAIMS):
        if name := first.get(kind, "").strip():
            return "".join(one if one.isprintable() else "�" for one in name)[:MAX_NAME_LENGTH]
    return None
