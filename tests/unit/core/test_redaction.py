"""Foreign texts, without secrets and control characters."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.core.redaction import LIMIT, redact

TOKEN = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL20ifQ.c2lnbmF0dXJl-_x"
KEY = "Zm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmFy+/8="


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        (TOKEN, f"token {TOKEN} is not accepted"),
        (TOKEN, f'{{"access_token":"{TOKEN}"}}'),
        (TOKEN.partition(".")[0], f"cut {TOKEN.partition('.')[0]}"),
        ("opaque123", "Authorization: Bearer opaque123"),
        ("opaque123", "authorization: bearer  opaque123, Basic"),
        ("dXNlcjpwYXNz", "Proxy said Basic dXNlcjpwYXNz"),
        ("acct:c2lnbmF0dXJl", "Authorization: SharedKey acct:c2lnbmF0dXJl"),
        ("ab%2Bc%3D", "https://a.blob.core.windows.net/c/b?sv=2024&se=1&sig=ab%2Bc%3D&sp=r"),
        ("ab%2Bc%3D", "https%3A%2F%2Fa%3Fsig%3Dab%2Bc%3D"),
        (KEY, f"AccountName=a;AccountKey={KEY};EndpointSuffix=core.windows.net"),
        (KEY, f"SharedAccessKey={KEY}"),
        ("fk-123==", "https://app.azurewebsites.net/api/x?code=fk-123=="),
        ("hunter2", 'client_secret=hunter2 "password": "hunter2"'),
        ("hunter2", '{"client_secret": "hunter2"}'),
        ("hunter2", "https://user:hunter2@host/path"),
    ],
)
def test_a_text_like_a_secret_is_masked(secret: str, text: str) -> None:
    assert secret not in redact(text)
    assert "***" in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "pipeline 4f2a is disabled (UserError)",
        '{"error": {"code": "UserError", "message": "no such pipeline"}}',
        "the token has expired",
        "see https://aka.ms/x?view=y#z",
        "1,024 characters: añb 😀",
    ],
)
def test_ordinary_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def test_control_characters_go_and_lines_become_one() -> None:
    assert redact("a\r\n\tb\x00\x1b[31mc\u202ed\ud83d") == "a b[31mcd\ufffd"


def test_a_long_text_is_cut_to_a_thousand_characters() -> None:
    assert len(redact("x" * 5_000)) == LIMIT
    assert redact("x" * 5_000).endswith("x…")
    assert redact("abcdef", limit=4) == "abc…"


def test_a_secret_behind_a_long_text_does_not_come_into_sight_by_cutting() -> None:
    text = f"Bearer {'t' * 30_000} {TOKEN}"
    assert redact(text) == "Bearer ***"


@given(st.text(max_size=300))
@example("sig=sig=x")
@example("Bearer Bearer x")
@example("eyJaaaaaaaaaaa..eyJ")
def test_redaction_is_bounded_printable_and_can_be_written(text: str) -> None:
    redacted = redact(text)
    assert len(redacted) <= LIMIT
    redacted.encode()
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in redacted)


@given(
    st.sampled_from(["sig=", "AccountKey=", "code=", "Bearer ", "SharedKey a:", "secret%3D"]),
    st.from_regex(r"[A-Za-z0-9+/]{12,90}", fullmatch=True),
    st.text(alphabet=st.characters(exclude_characters="="), max_size=60),
)
def test_a_secret_is_masked_wherever_it_stands(name: str, secret: str, around: str) -> None:
    secret = f"q7-{secret}"
    assert secret not in redact(f"{around} {name}{secret} {around}")
