"""The outcome of a POST from its answer, or from its error."""

from __future__ import annotations

import json
import ssl
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core.exceptions import IncompleteReadError, ServiceRequestError
from hypothesis import given
from hypothesis import strategies as st
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError

from shared.core.errors import CallError, NotSent, TokenUnavailable
from shared.core.outcomes import Outcome, OutcomeKind, ServiceAnswer
from shared.pipelines.answers import describe_failure, read_answer, read_failure
from shared.pipelines.service_json import read_status

NOW = datetime(2027, 3, 27, 1, 30, tzinfo=UTC)
SCOPE = "https://management.azure.com/.default"
TOKEN = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJ4In0.c2ln"


def read(status: int, content: Any = b"", **headers: str) -> Outcome:
    if not isinstance(content, bytes):
        content = json.dumps(content).encode()
    answer = ServiceAnswer(status=status, headers=headers, content=content, request_id="req-1")
    return read_answer(
        answer, identity="the system-assigned managed identity", scope=SCOPE, now=lambda: NOW
    )


@pytest.mark.parametrize("key", ["Id", "id", "ID"])
@pytest.mark.parametrize("status", [200, 201, 202])
def test_a_2xx_with_a_run_id_started_a_run_whatever_the_casing(key: str, status: int) -> None:
    outcome = read(status, {key: "run-1", "Status": None}, **{"x-ms-request-id": "svc-1"})
    assert outcome == Outcome(
        kind=OutcomeKind.STARTED,
        run_id="run-1",
        run_status="NotStarted",
        status=status,
        request_id="req-1",
        service_request_id="svc-1",
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"<html>ok</html>",
        b"\xff\xfe",
        b"[" * 100_000,
        {},
        [],
        "run-1",
        {"Id": None},
        {"Id": ""},
        {"Id": " "},
        {"Id": 7},
        {"Id": "a\nb"},
        {"Id": "x" * 300},
        {"RunId": "run-1"},
        [{"Id": "run-1"}],
    ],
)
def test_a_2xx_without_a_readable_run_id_is_unknown(content: Any) -> None:
    outcome = read(200, content)
    assert outcome.kind is OutcomeKind.UNKNOWN
    assert outcome.run_id is None
    assert "no run id could be read" in (outcome.message or "")
    assert (outcome.message or "").startswith("ambiguous: a run may have started. ")


def test_a_byte_order_mark_does_not_hide_the_run() -> None:
    assert read(200, b'\xef\xbb\xbf{"Id":"run-1"}').run_id == "run-1"


@pytest.mark.parametrize(
    ("status", "word"),
    [
        (None, "NotStarted"),
        ({"StatusCode": 0}, "NotStarted"),
        ({"StatusCode": "1"}, "Running"),
        ({"statusCode": "Failed"}, "Failed"),
        ({"STATUSCODE": "finished"}, "Finished"),
        ({"StatusCode": None}, "NotStarted"),
        ("Canceled", "Canceled"),
        (4, "Canceled"),
        ("4", "Canceled"),
        ({"StatusCode": 5}, None),
        ({"StatusCode": "Queued"}, None),
        ({"StatusCode": True}, None),
        ({"StatusCode": []}, None),
        ({}, "NotStarted"),
    ],
)
def test_a_status_is_read_as_name_number_or_number_in_text(status: Any, word: str | None) -> None:
    assert read_status(status) == word
    assert read(200, {"Id": "run-1", "Status": status}).run_status == word


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        *((status, OutcomeKind.REFUSED) for status in (300, 301, 302, 304, 307, 308)),
        *((status, OutcomeKind.REFUSED) for status in (400, 402, 404, 405, 407, 409, 410, 412)),
        *((status, OutcomeKind.REFUSED) for status in (413, 415, 422, 423, 425, 451, 499)),
        *((status, OutcomeKind.FORBIDDEN) for status in (401, 403)),
        (429, OutcomeKind.THROTTLED),
        *((status, OutcomeKind.UNKNOWN) for status in (100, 199, 408, 500, 501, 502, 503, 504)),
        *((status, OutcomeKind.UNKNOWN) for status in (507, 530, 599, 600, 999)),
    ],
)
def test_every_status_has_one_outcome(status: int, kind: OutcomeKind) -> None:
    for content in (b"", b"<html/>", {"Id": "run-1"}, {"Error": {"Code": "UserError"}}):
        outcome = read(status, content)
        assert outcome.kind is kind
        assert outcome.status == status
        assert outcome.run_id is None
        assert outcome.request_id == "req-1"


@pytest.mark.parametrize(
    "content",
    [
        {
            "Error": {
                "Code": "UserError",
                "Message": "no such pipeline",
                "InnerError": {"Code": "X"},
            }
        },
        {"error": {"code": "UserError", "message": "no such pipeline"}, "correlation": {}},
        {"code": "UserError", "message": "no such pipeline"},
        {"error": "UserError", "error_description": "no such pipeline"},
    ],
)
def test_the_error_shapes_of_both_services_and_of_gateways_are_read(content: Any) -> None:
    outcome = read(400, content)
    assert outcome.code == "UserError"
    assert outcome.message == "Azure ML answered 400: UserError: no such pipeline"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "Azure ML answered 404: no reason given"),
        (b"{}", "Azure ML answered 404: no reason given"),
        (
            b"<html><head><style>a{}</style><title>Not found</title></head><body>\n<h1>Gone</h1>",
            "Azure ML answered 404: Not found Gone",
        ),
        (b"plain \x00text", "Azure ML answered 404: plain text"),
        (b'{"Error": {"Code": 7, "Message": ["x"]}}', "Azure ML answered 404: 7"),
        (b'{"Error": []}', "Azure ML answered 404: no reason given"),
    ],
)
def test_the_text_of_other_bodies_is_the_reason(content: bytes, message: str) -> None:
    assert read(404, content).message == message


def test_a_service_that_repeats_our_secrets_does_not_get_them_recorded() -> None:
    said = f"token {TOKEN} for https://a/b?sig=hunter2 \x1b[31m" + "x" * 5_000
    outcome = read(400, {"Error": {"Code": f"Bearer {TOKEN}", "Message": said}})
    assert len(outcome.message or "") == 1_000
    for text in (outcome.message or "", outcome.code or ""):
        assert TOKEN not in text
        assert "hunter2" not in text
        assert "\x1b" not in text


@pytest.mark.parametrize("status", [401, 403])
def test_a_missing_role_is_named_with_identity_and_scope(status: int) -> None:
    message = read(
        status, {"error": {"code": "AuthorizationFailed", "message": "x" * 5_000}}
    ).message
    assert message is not None
    assert message.startswith(
        f"Azure ML answered {status} to the system-assigned managed identity with a token for "
        f"{SCOPE}. Assign it the role AzureML Data Scientist on the workspace, or a custom role with the "
        "action Microsoft.MachineLearningServices/workspaces/experiments/runs/submit/action. A new role "
        "takes up to an hour to take effect. AuthorizationFailed: xxx"
    )


def test_the_message_for_a_redirect_names_the_endpoint() -> None:
    assert "Correct the pipeline's endpoint" in (read(307, b"").message or "")


@pytest.mark.parametrize(
    ("header", "wait"),
    [
        ("7", timedelta(seconds=7)),
        (" 1.5 ", timedelta(seconds=1.5)),
        ("0", timedelta()),
        ("Sat, 27 Mar 2027 01:31:00 GMT", timedelta(minutes=1)),
        ("Sat, 27 Mar 2027 01:31:00 -0000", timedelta(minutes=1)),
        ("Sat, 27 Mar 2027 01:29:00 GMT", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        ("NaN", None),
        ("1e9", None),
        ("9" * 400, None),
        ("Sat, 99 Mar 2027 01:29:00 GMT", None),
        ("Sat, 27 Mar 2027 01:31:00 +99999999999", None),
        ("Sat, 27 Mar 99999999999999999999 01:31:00 GMT", None),
        ("1 Jan 0001 00:00:00 +2359", None),
    ],
)
def test_retry_after_is_read_by_seconds_or_date(header: str, wait: timedelta | None) -> None:
    outcome = read(429, **{"retry-after": header})
    assert outcome.kind is OutcomeKind.THROTTLED
    assert outcome.retry_after == wait


@given(
    st.integers(100, 999),
    st.binary(max_size=200) | st.sampled_from([b'{"Id":"r"}', b'{"Error":{"Code":"c"}}']),
    st.text(max_size=40),
)
def test_no_answer_is_too_strange_to_be_read(status: int, content: bytes, header: str) -> None:
    outcome = read(status, content, **{"retry-after": header, "x-ms-request-id": header})
    assert (outcome.kind is OutcomeKind.STARTED) == (outcome.run_id is not None)
    assert len(outcome.message or "") <= 1_000


def failed(*, sent: bool, cause: BaseException) -> CallError:
    error = CallError("the call failed", request_id="req-1", sent=sent)
    error.__cause__ = cause
    return error


CAUSES: list[BaseException] = [
    ServiceRequestError("azure-core says so of a refused connection, and of a broken TLS record"),
    NewConnectionError(HTTPConnection("workspace.invalid"), "refused"),
    ssl.SSLCertVerificationError("self-signed"),
    ConnectionResetError(),
    IncompleteReadError("truncated"),
    TimeoutError(),
]


@pytest.mark.parametrize("cause", CAUSES, ids=repr)
def test_a_request_that_never_left_was_not_started_whatever_the_cause(cause: BaseException) -> None:
    outcome = read_failure(failed(sent=False, cause=cause))
    assert (outcome.kind, outcome.request_id) == (OutcomeKind.NOT_STARTED, "req-1")
    assert "could not be reached" in (outcome.message or "")


@pytest.mark.parametrize("cause", CAUSES, ids=repr)
def test_a_request_that_may_have_left_is_unknown_whatever_the_cause(cause: BaseException) -> None:
    outcome = read_failure(failed(sent=True, cause=cause))
    assert (outcome.kind, outcome.request_id) == (OutcomeKind.UNKNOWN, "req-1")
    assert "ambiguous: a run may have started" in (outcome.message or "")


def test_without_a_token_or_if_nothing_was_sent_the_message_is_the_errors_own() -> None:
    for error in (TokenUnavailable("no token"), NotSent("not sent: no time", request_id="r")):
        outcome = read_failure(error)
        assert (outcome.kind, outcome.message) == (OutcomeKind.NOT_STARTED, str(error))


def test_a_failures_message_holds_no_secret() -> None:
    error = CallError("the call failed", request_id="r", sent=True)
    error.__cause__ = OSError(f"Bearer {TOKEN} https://a/b?sig=hunter2 " + "x" * 5_000)
    message = read_failure(error).message or ""
    assert TOKEN not in message
    assert "hunter2" not in message
    assert len(message) == 1_000


def test_the_cause_of_a_missing_token_does_not_contradict_its_message() -> None:
    error = TokenUnavailable("no token: the identity endpoint answered 400")
    error.__cause__ = ValueError("no managed identity endpoint found")
    assert read_failure(error).message == str(error)


def test_the_description_of_a_failed_read_says_nothing_of_a_run() -> None:
    error = failed(sent=True, cause=TimeoutError("timed out"))
    assert describe_failure(error) == "the call failed (timed out)"
    assert read_failure(error).message == (
        "ambiguous: a run may have started. The call failed (timed out)"
    )
    assert describe_failure(failed(sent=False, cause=ConnectionResetError())) == (
        "not sent: Azure ML could not be reached. The call failed (ConnectionResetError)"
    )
