"""Tokens of the local stack: JSON Web Tokens (RFC 7519) that are signed with the stand-ins' shared secret."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any


class BadToken(Exception):
    """The token was not signed with the stand-ins' secret."""


def sign_token(claims: Mapping[str, Any], *, secret: bytes) -> str:
    """Return a token with these claims."""
    header = _encode(json.dumps({"typ": "JWT", "alg": "HS256"}).encode())
    payload = _encode(json.dumps(dict(claims)).encode())
    return f"{header}.{payload}.{_encode(_mac(f'{header}.{payload}', secret))}"


def read_token(token: str, *, secret: bytes) -> dict[str, Any]:
    """Return a token's claims. The audience and the expiry are not checked.

    Raises:
        BadToken: It is not a token, or it is signed with another secret.
    """
    signed, _, signature = token.rpartition(".")
    try:
        given = _decode(signature)
        claims = json.loads(_decode(signed.partition(".")[2]))
    except (binascii.Error, ValueError) as error:
        raise BadToken("not a JSON Web Token") from error
    if not hmac.compare_digest(given, _mac(signed, secret)) or not isinstance(claims, dict):
        raise BadToken("signed with another secret")
    return claims


def _mac(text: str, secret: bytes) -> bytes:
    return hmac.new(secret, text.encode("utf-8", "replace"), hashlib.sha256).digest()


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
