"""Takes secrets and control characters out of text that others wrote, before it is stored, logged or answered.

It is used for every foreign text: a service's message, an exception's, a host's. What looks like a secret is masked
even where it is none: a masked word costs a reader little, a leaked key costs an account.
"""

from __future__ import annotations

import re

LIMIT = 1_000
"""Characters that a redacted text has at most."""

MASK = "***"

_CONSIDERED = 20_000
"""Characters that are looked at: an answer of a megabyte is not searched for the thousand that are kept."""

_NAMES = (
    r"sig|signature|code|accountkey|account_key|sharedaccesskey|sharedaccesssignature|"
    r"access_token|refresh_token|id_token|client_secret|client_assertion|secret|password|pwd|"
    r"x-functions-key|x-identity-header|api[-_]?key|authorization"
)

_SCHEMES = re.compile(r"\b(bearer|basic|sharedkey|sharedkeylite)(\s+)[^\s,;\"'<>]+", re.IGNORECASE)
"""`Bearer …`, `SharedKey account:…`: what an Authorization header holds."""

_JWT = re.compile(r"\beyJ[\w-]{8,}(?:\.[\w-]*){0,4}")
"""Three base64url parts, the first of them JSON; parts may have been cut off."""

_START = r"(?:(?<![a-z0-9])|(?<=%[0-9a-f]{2}))"
"""Where a name begins: `%3Fsig%3D…` is a query that was encoded once more."""

_FIELDS = re.compile(rf"({_START}(?:{_NAMES})(?:=|%3d))[^\s&;,\"'<>]+", re.IGNORECASE)
"""`sig=…` in a SAS, `AccountKey=…` in a connection string, `code=…` in a function's URL."""

_JSON_FIELDS = re.compile(
    rf"({_START}(?:{_NAMES})[\"']\s*:\s*[\"'])(?!\*\*\*[\"'])[^\"']+", re.IGNORECASE
)
"""`"access_token": "…"`; an error's own `"code": "…"` is spared by `_spare_error_codes`."""

_USERINFO = re.compile(r"(://)[^\s/@\"'<>]+@")
"""`https://user:password@host`."""

_SPACES = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def redact(text: str, *, limit: int = LIMIT) -> str:
    """Return a text with secrets masked, control characters removed and its length bounded.

    Line ends and tabs become spaces, lone surrogates U+FFFD, so that the result is one line that UTF-8 can hold.

    Args:
        text: What somebody else wrote.
        limit: Characters of the result at most; a cut text ends in `…`.
    """
    text = _SPACES.sub(" ", text[:_CONSIDERED])
    text = _SURROGATES.sub("\ufffd", _CONTROLS.sub("", text))
    text = _JWT.sub(MASK, text)
    text = _SCHEMES.sub(rf"\1\2{MASK}", text)
    text = _FIELDS.sub(rf"\1{MASK}", text)
    text = _JSON_FIELDS.sub(_spare_error_codes, text)
    text = _USERINFO.sub(rf"\1{MASK}@", text).strip()
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def _spare_error_codes(match: re.Match[str]) -> str:
    """Keep `"code": "UserError"`: in JSON that name is an error's code, in a URL it is a function key."""
    return match.group() if match.group().lower().startswith("code") else match.group(1) + MASK
