"""The records of decisions: fields at the end of the message, and threads that know their caller's invocation."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.telemetry import Action, Field, log_decision, submit_in_context

logger = logging.getLogger("tests.telemetry")

PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^\s"]+)(?: |\Z)')
"""A pair as KQL's `parse-kv` splits it: `pair_delimiter=' ', kv_delimiter='=', quote='"', escape='\\'`."""


class Records(logging.Handler):
    """Keeps the records of this test's logger."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(record)


@pytest.fixture(autouse=True, scope="module")
def records() -> Iterator[Records]:
    handler = Records()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    yield handler
    logger.removeHandler(handler)


def written(records: Records, fields: dict[str, Field]) -> str:
    """Return the message of a decision with these fields."""
    records.kept.clear()
    log_decision(logger, Action.SUBMISSION_HELD, "submission 1 is held", fields)
    (record,) = records.kept
    return record.getMessage()


def read_back(message: str) -> dict[str, str]:
    """Return the fields of a message, and check that nothing else stands between them."""
    _, _, pairs = message.partition(" | ")
    assert PAIR.sub("", pairs) == ""
    return {
        name: json.loads(value) if value.startswith('"') else value
        for name, value in PAIR.findall(pairs)
    }


def test_the_fields_stand_at_the_end_of_the_message_and_the_action_first(records: Records) -> None:
    message = written(records, {"trigger": "new-data", "submission": "0a1b"})
    assert message == (
        "submission 1 is held | action=submission_held trigger=new-data submission=0a1b"
    )


def test_a_decision_without_fields_has_its_action(records: Records) -> None:
    assert written(records, {}) == "submission 1 is held | action=submission_held"


def test_a_field_that_is_none_is_left_out(records: Records) -> None:
    message = written(records, {"run": None, "trigger": "t", "request_id": None})
    assert message.endswith(" | action=submission_held trigger=t")


def test_booleans_are_lower_case_and_numbers_plain(records: Records) -> None:
    message = written(records, {"enabled": False, "sent": 3, "seconds": 0.5})
    assert message.endswith(" enabled=false sent=3 seconds=0.5")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("2027-03-27T12:00:00Z", "2027-03-27T12:00:00Z"),
        ("a/b_c.d-e", "a/b_c.d-e"),
        ("", '""'),
        ("two words", '"two words"'),
        ('say "no"', r'"say \"no\""'),
        ("back\\slash", r'"back\\slash"'),
        ("a=b", '"a=b"'),
        ("añb 😀", '"añb 😀"'),
    ],
)
def test_a_value_that_could_be_misread_is_quoted(records: Records, value: str, shown: str) -> None:
    assert written(records, {"reason": value}).endswith(f" reason={shown}")


@given(st.dictionaries(st.from_regex(r"f_[a-z]{1,9}", fullmatch=True), st.text(), max_size=4))
def test_every_text_can_be_read_back(records: Records, fields: dict[str, str]) -> None:
    message = written(records, {**fields})
    assert read_back(message) == {"action": "submission_held", **fields}
    assert "\n" not in message


def test_a_percent_sign_in_the_sentence_is_no_format(records: Records) -> None:
    records.kept.clear()
    log_decision(logger, Action.EVENT_IGNORED, "trigger t ignores 100 %s.csv")
    assert records.kept[0].getMessage() == "trigger t ignores 100 %s.csv | action=event_ignored"


def test_handlers_on_a_laptop_get_the_fields_as_attributes(records: Records) -> None:
    written(records, {"trigger": "t"})
    record = records.kept[0]
    assert (record.__dict__["action"], record.__dict__["trigger"]) == ("submission_held", "t")


def test_the_level_decides_whether_a_record_is_written(records: Records) -> None:
    records.kept.clear()
    log_decision(logger, Action.TICK_ENDED, "a tick ended", level=logging.DEBUG)
    assert records.kept == []
    log_decision(logger, Action.CALL_FAILED, "a call failed", level=logging.ERROR)
    assert records.kept[0].levelno == logging.ERROR


def test_a_trace_follows_only_if_it_is_asked_for(records: Records) -> None:
    records.kept.clear()
    try:
        divmod(1, 0)
    except ZeroDivisionError:
        log_decision(logger, Action.CALL_FAILED, "without")
        log_decision(logger, Action.CALL_FAILED, "with", exc_info=True)
    without, with_trace = records.kept
    assert not without.exc_info
    assert with_trace.exc_info is not None
    assert with_trace.exc_info[0] is ZeroDivisionError


def test_a_pools_thread_sees_the_context_of_its_caller() -> None:
    invocation: ContextVar[str | None] = ContextVar("invocation", default=None)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(invocation.get).result() is None
        token = invocation.set("first")
        assert submit_in_context(pool, invocation.get).result() == "first"
        invocation.set("second")
        assert submit_in_context(pool, invocation.get).result() == "second"
        invocation.reset(token)
        # The one thread of this pool keeps nothing of the calls before.
        assert submit_in_context(pool, invocation.get).result() is None


def test_work_in_a_pool_gets_its_arguments_and_its_error_reaches_the_caller() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert submit_in_context(pool, divmod, 7, 2).result() == (3, 1)
        assert submit_in_context(pool, int, "ff", base=16).result() == 255
        with pytest.raises(ZeroDivisionError):
            submit_in_context(pool, divmod, 7, 0).result()


def test_work_cannot_change_the_callers_context() -> None:
    invocation: ContextVar[str] = ContextVar("invocation", default="mine")
    with ThreadPoolExecutor(1) as pool:
        submit_in_context(pool, invocation.set, "theirs").result()
    assert invocation.get() == "mine"
