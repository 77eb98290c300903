"""Tokens of the local stack: JSON Web Tokens (RFC 7519) signed with the stand-ins' secret."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any


class BadToken(Exception):
    """The token is not one of ours."""


def sign_token(claims: Mapping[str, Any], *, secret: bytes) -> str:
    """Make a token of claims."""
    header = _encode(json.dumps({"typ": "JWT", "alg": "HS256"}).encode())
    payload = _encode(json.dumps(dict(claims)).encode())
    return f"{header}.{payload}.{_encode(_mac(f'{header}.{payload}', secret))}"


def read_token(token: str, *, secret: bytes) -> dict[str, Any]:
    """Return a token's claims. Neither audience nor expiry is looked at.

    Raises:
        BadToken: Not a token, or signed with another secret.
    """
    signed, _, signature = token.rpartition(".")
    try:
        given = _decode(signature)
        claims = json.loads(_decode(signed.partition(".")[2]))
    except (binascii.Error, ValueError) as error:
        raise BadToken("not a JSON Web Token") from error
    if not hmac.compare_digest(given, _mac(signed, secret)) or not isinstance(claims, dict):
        raise BadToken("signed by somebody else")
    return claims


def _mac(text: str, secret: bytes) -> bytes:
    return hmac.new(secret, text.encode("utf-8", "replace"), hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
