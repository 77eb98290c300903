"""Masks secrets and removes control characters in foreign texts, before they are stored, logged or returned.

Every foreign text goes through `redact`: a service's message, an exception's message, a host name. A text that only
looks like a secret is masked too. A masked word costs a reader little, while a leaked key costs an account.
"""

from __future__ import annotations

import re

LIMIT = 1_000
"""The most characters that a redacted text has."""

MASK = "***"

_CONSIDERED = 20_000
"""The most characters that are searched. An answer may have a megabyte, and only a thousand characters are kept."""

_NAMES = (
    r"sig|signature|code|accountkey|account_key|sharedaccesskey|sharedaccesssignature|"
    r"access_token|refresh_token|id_token|client_secret|client_assertion|secret|password|pwd|"
    r"x-functions-key|x-identity-header|api[-_]?key|authorization"
)

_SCHEMES = re.compile(r"\b(bearer|basic|sharedkey|sharedkeylite)(\s+)[^\s,;\"'<>]+", re.IGNORECASE)
"""The value of an Authorization header: `Bearer …`, `SharedKey account:…`."""

_JWT = re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]*){0,4}")
"""A JSON web token: three base64url parts, the first of them JSON. Some parts may have been cut off."""

_START = r"(?:(?<![a-z0-9])|(?<=%[0-9a-f]{2}))"
"""The position before a name. `%3Fsig%3D…` is a query that was percent-encoded twice."""

_FIELDS = re.compile(rf"({_START}(?:{_NAMES})(?:=|%3d))[^\s&;,\"'<>]+", re.IGNORECASE)
"""A pair in a SAS (`sig=…`), a connection string (`AccountKey=…`) or a function's URL (`code=…`)."""

_JSON_FIELDS = re.compile(
    rf"({_START}(?:{_NAMES})[\"']\s*:\s*[\"'])(?!\*\*\*[\"'])[^\"']+", re.IGNORECASE
)
"""A pair in JSON: `"access_token": "…"`. `_keep_error_codes` keeps an error's own `"code": "…"`."""

_USERINFO = re.compile(r"(://)[^\s/@\"'<>]+@")
"""A user and a password in a URL: `https://user:password@host`."""

_SPACES = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def redact(text: str, *, limit: int = LIMIT) -> str:
    """Return a text with secrets masked, control characters removed and its length bounded.

    The result is one line that UTF-8 can encode: line ends and tabs become spaces, lone surrogates become U+FFFD.

    Args:
        text: A foreign text.
        limit: The most characters of the result. A text that was cut ends with `…`.
    """
    text = _SPACES.sub(" ", text[:_CONSIDERED])
    text = _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text))
    text = _JWT.sub(MASK, text)
    text = _SCHEMES.sub(rf"\1\2{MASK}", text)
    text = _FIELDS.sub(rf"\1{MASK}", text)
    text = _JSON_FIELDS.sub(_keep_error_codes, text)
    text = _USERINFO.sub(rf"\1{MASK}@", text).strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _keep_error_codes(match: re.Match[str]) -> str:
    """Return the replacement of a pair in JSON. `"code": "UserError"` stays as it is."""
    # In JSON `code` names an error. Only in a URL is it a function key.
    return match.group() if match.group().lower().startswith("code") else match.group(1) + MASK
