"""Tokens of the local stack."""

from __future__ import annotations

import pytest

from local.standins.tokens import BadToken, read_token, sign_token


@pytest.mark.parametrize(
    "token", ["", "a", "a.b.c", "é.é.é", sign_token({"aud": "x"}, secret=b"other")]
)
def test_a_token_with_another_secret_is_refused(token: str) -> None:
    with pytest.raises(BadToken):
        read_token(token, secret=b"own")
