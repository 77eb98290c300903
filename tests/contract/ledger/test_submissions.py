"""Claims and changes of submissions, over every table."""

from __future__ import annotations

import functools
import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from local.standins.azurite import Azurite
from local.testing.app import NOON
from local.testing.memory_table import Fault
from shared.core.errors import LedgerError, LedgerUnavailable
from shared.core.events import HttpEvent, deduplication_key
from shared.core.leases import LEASE
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import State
from shared.core.transitions import settle
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Insert, Merge, Table
from tests.examples import STARTED, keys, skipped, started, submission

type MakeTable = Callable[..., Table]


def test_a_claim_comes_back_as_it_was_made(make_table: MakeTable) -> None:
    ledger = Ledger(make_table())
    claim = ledger.submissions.claim(submission())
    assert claim.claimed_at is not None
    assert claim == submission()
    assert ledger.submissions.get(submission().id) == submission()


def test_a_second_claim_is_lost_and_shows_the_first(make_table: MakeTable) -> None:
    table = make_table()
    Ledger(table).submissions.claim(submission())
    later = replace(submission(), created=NOON + timedelta(hours=1))
    claim = Ledger(table).submissions.claim(later)
    assert claim.claimed_at is None
    assert claim.created == NOON


def test_a_submission_that_was_never_claimed_is_none(make_table: MakeTable) -> None:
    assert Ledger(make_table()).submissions.get("0" * 32) is None


def test_a_claim_makes_a_row_for_the_tick_and_one_for_listings(make_table: MakeTable) -> None:
    table = make_table()
    Ledger(table).submissions.claim(submission())
    assert keys(table) == ["due", "log", "sub"]


def test_a_submission_dead_at_its_claim_needs_attention_and_no_tick(make_table: MakeTable) -> None:
    table = make_table()
    Ledger(table).submissions.claim(submission(state=State.DEAD, due=None, body=None, reason="why"))
    assert keys(table) == ["attention", "log", "sub"]
    found = Ledger(table).submissions.get(submission().id)
    assert found is not None
    assert (found.state, found.reason, found.body) == (State.DEAD, "why", None)


def test_settling_moves_the_due_row_and_the_log(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    settled = ledger.submissions.update(ledger.submissions.claim(submission()), started)
    assert settled.state is State.SUBMITTED
    assert ledger.submissions.get(settled.id) == settled
    assert keys(table) == ["due", "log", "reference", "sub"]
    (due,) = table.page("due:", "due;").rows
    assert due.key == settled.due_key
    (log,) = table.page("log:", "log;").rows
    assert (log.values["state"], log.values["run_id"]) == ("submitted", "run-1")


def test_a_change_that_keeps_the_due_time_does_not_touch_the_due_row(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    claimed = ledger.submissions.claim(submission())
    ledger.submissions.update(claimed, lambda row: replace(row, reason="noted"))
    assert keys(table) == ["due", "log", "sub"]


def test_a_submission_that_needs_no_attention_any_more_loses_its_row(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    claimed = ledger.submissions.claim(submission())
    held = ledger.submissions.update(claimed, lambda row: replace(row, state=State.HELD, due=None))
    assert keys(table) == ["attention", "log", "sub"]
    ledger.submissions.update(held, lambda row: replace(row, state=State.SKIPPED))
    assert keys(table) == ["log", "sub"]


def test_a_change_is_applied_to_what_is_there_now(make_table: MakeTable) -> None:
    table = make_table()
    mine, theirs = Ledger(table), Ledger(table)
    claimed = mine.submissions.claim(submission())
    theirs.submissions.update(claimed, lambda row: replace(row, reason="theirs"))
    after = mine.submissions.update(claimed, lambda row: replace(row, run_status="Running"))
    assert (after.reason, after.run_status) == ("theirs", "Running")


def test_a_late_answer_is_recorded_though_the_row_moved_on(make_table: MakeTable) -> None:
    table = make_table()
    mine, theirs = Ledger(table), Ledger(table)
    claimed = mine.submissions.claim(submission())
    other = replace(STARTED, run_id="run-2", request_id="r2", id="other")
    theirs.submissions.update(
        claimed, lambda row: settle(row, other, generation=1, lease_id="", now=NOON)
    )
    after = mine.submissions.update(claimed, started)
    assert (after.run_id, after.duplicates) == ("run-2", ("run-1",))
    assert mine.submissions.get(claimed.id) == after


def test_properties_of_a_later_version_are_kept(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    claimed = ledger.submissions.claim(submission())
    key = f"sub:{claimed.id}"
    table.transact([Merge(key, {"from_the_future": "x"})])
    ledger.submissions.update(claimed, started)
    row = table.get(key)
    assert row is not None
    assert row.values["from_the_future"] == "x"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"schema": 2}, "newer version"),
        ({"state": "dreaming"}, "cannot be read"),
        ({"event": b"{}"}, "cannot be read"),
        ({"created": "yesterday"}, "cannot be read"),
        ({"body": "text"}, "cannot be read"),
    ],
)
def test_an_edited_row_is_an_error_that_names_the_submission(
    make_table: MakeTable, values: dict[str, str], message: str
) -> None:
    table = make_table()
    ledger = Ledger(table)
    claimed = ledger.submissions.claim(submission())
    table.transact([Merge(f"sub:{claimed.id}", values)])
    with pytest.raises(LedgerError, match=message) as raised:
        ledger.submissions.get(claimed.id)
    assert claimed.id in str(raised.value)


@pytest.mark.parametrize("fault", list(Fault))
def test_a_claim_whose_answer_was_lost_or_doubled_is_still_ours(
    make_table: MakeTable, fault: Fault
) -> None:
    left = [fault]
    table = make_table(lambda call: left.pop() if call == "transact" and left else None)
    make_table().transact([Insert("warm", {})])
    assert Ledger(table).submissions.claim(submission()).claimed_at is not None
    assert Ledger(table).submissions.claim(submission()).claimed_at is None


@pytest.mark.parametrize("fault", list(Fault))
def test_a_settle_whose_answer_was_lost_or_doubled_is_recorded_once(
    make_table: MakeTable, fault: Fault
) -> None:
    claimed = Ledger(make_table()).submissions.claim(submission())
    left = [fault]
    table = make_table(lambda call: left.pop() if call == "transact" and left else None)
    settled = Ledger(table).submissions.update(claimed, started)
    assert settled.state is State.SUBMITTED
    assert len(settled.attempts) == 1
    assert keys(make_table()) == ["due", "log", "reference", "sub"]


def test_of_64_threads_one_wins_while_answers_are_dropped(make_table: MakeTable) -> None:
    chance = random.Random(7)
    make_table().transact([Insert("warm", {})])

    def fault(call: str) -> Fault | None:
        return chance.choice([*Fault, None, None, None]) if call == "transact" else None

    table = make_table(fault)
    ledger = Ledger(table)

    def claim(number: int) -> list[str]:
        claims = [ledger.submissions.claim(submission(event)) for event in range(3)]
        return [found.id for found in claims if found.claimed_at is not None]

    with ThreadPoolExecutor(64) as threads:
        won = Counter(winner for winners in threads.map(claim, range(64)) for winner in winners)
    assert won == {submission(event).id: 1 for event in range(3)}


CLAIMER = """
import json, random, sys
from concurrent.futures import ThreadPoolExecutor
from azure.data.tables import TableClient
from local.standins.storage_faults import FaultyTransport
from shared.ledger.ledger import Ledger
from shared.ledger.table.azure import CLIENT_OPTIONS, AzureTable
from local.testing.memory_table import Fault
from shared.core.submissions import Submission
from shared.core.events import ScheduleEvent, deduplication_key
from datetime import UTC, datetime, timedelta

connection, name, seed = sys.argv[1:]
chance = random.Random(int(seed))
NOON = datetime(2027, 3, 27, 12, 0, tzinfo=UTC)

def fault(method, url):
    return Fault.ANSWER_LOST if url.endswith("$batch") and chance.random() < 0.3 else None

def connect():
    options = {**CLIENT_OPTIONS, "retry_backoff_factor": 0}
    return TableClient.from_connection_string(connection, name, transport=FaultyTransport(fault), **options)

ledger = Ledger(AzureTable(connect, described="the table"))

def claim(number):
    event = ScheduleEvent(trigger="nightly", time=NOON + timedelta(days=number))
    return number if ledger.submissions.claim(Submission(
        id=deduplication_key(event), trigger="nightly", pipeline="p", kind="k", endpoint_digest="x", event=event,
        body=b"{}", created=NOON, updated=NOON, due=NOON,
    )).claimed_at is not None else None

numbers = list(range(40)) * 2
chance.shuffle(numbers)
with ThreadPoolExecutor(8) as threads:
    print(json.dumps([number for number in threads.map(claim, numbers) if number is not None]))
"""


@pytest.mark.azurite
@pytest.mark.xdist_group("azurite")
def test_of_four_processes_one_wins_each_event_while_answers_are_dropped(azurite: Azurite) -> None:
    name = f"p{random.randrange(10**12)}"
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-W",
                "ignore",
                "-c",
                CLAIMER,
                azurite.connection_string,
                name,
                str(n),
            ],
            stdout=subprocess.PIPE,
            text=True,
        )
        for n in range(4)
    ]
    won: Counter[int] = Counter()
    for process in processes:
        output, _ = process.communicate(timeout=100)
        assert process.returncode == 0
        won.update(json.loads(output))
    assert won == dict.fromkeys(range(40), 1)


def test_a_table_that_does_not_answer_fails_claims_and_reads(make_table: MakeTable) -> None:
    ledger = Ledger(make_table(lambda _call: Fault.NOT_CARRIED_OUT))
    with pytest.raises(LedgerUnavailable):
        ledger.submissions.claim(submission())
    with pytest.raises(LedgerUnavailable):
        ledger.submissions.get(submission().id)


def test_a_request_of_48_kib_and_a_body_of_60_kib_fit(make_table: MakeTable) -> None:
    event = HttpEvent(trigger="t", time=NOON, key=("key", "k"), body={"text": "ü" * 24_000})
    large = replace(
        submission(),
        id=deduplication_key(event),
        event=event,
        body=b"{" + b" " * (60 * 1024 - 2) + b"}",
    )
    ledger = Ledger(make_table())
    assert ledger.submissions.claim(large).claimed_at is not None
    assert ledger.submissions.get(large.id) == large


def test_twenty_attempts_with_long_messages_fit(make_table: MakeTable) -> None:
    ledger = Ledger(make_table())
    row = ledger.submissions.claim(submission())
    for number in range(25):
        outcome = Outcome(
            kind=OutcomeKind.UNKNOWN, message="ü€😀" * 400, request_id=f"r{number}", status=500
        )
        change = functools.partial(settle, outcome=outcome, generation=1, lease_id="", now=NOON)
        row = ledger.submissions.update(row, change)
    found = ledger.submissions.get(row.id)
    assert found is not None
    assert [attempt.request_id for attempt in found.attempts][-1] == "r24"
    assert len(found.attempts) >= 15


def test_of_many_threads_that_take_a_submission_one_succeeds_while_answers_are_dropped(
    make_table: MakeTable,
) -> None:
    claimed = Ledger(make_table()).submissions.claim(submission())
    pending = Ledger(make_table()).submissions.update(
        claimed, lambda row: replace(row, state=State.PENDING, due=NOON)
    )
    chance = random.Random(3)
    table = make_table(
        lambda call: chance.choice([*Fault, None, None]) if call == "transact" else None
    )

    def take(_number: int) -> bool:
        taken = Ledger(table).submissions.take(
            pending, lambda row: replace(row, state=State.SUBMITTING, due=NOON + LEASE)
        )
        return taken is not None

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(take, range(32))) == 1


def test_the_newest_run_of_an_experiment_is_its_reference_run(make_table: MakeTable) -> None:
    ledger = Ledger(make_table())
    assert ledger.submissions.reference_run("0123456789abcdef", "E") is None
    for number in range(2):
        outcome = replace(STARTED, run_id=f"run-{number}", request_id=f"r{number}")
        change = functools.partial(settle, outcome=outcome, generation=1, lease_id="", now=NOON)
        newest = ledger.submissions.update(ledger.submissions.claim(submission(number)), change)
    found = ledger.submissions.reference_run("0123456789abcdef", "E")
    assert found is not None
    assert (found.correlation_id, found.started) == (newest.correlation_id, newest.run_created)
    assert ledger.submissions.reference_run("0123456789abcdef", "other") is None


def test_an_unreadable_submission_is_held_without_losing_what_is_in_it(
    make_table: MakeTable,
) -> None:
    table = make_table()
    ledger = Ledger(table)
    claimed = ledger.submissions.claim(submission())
    table.transact([Merge(f"sub:{claimed.id}", {"state": "dreaming"})])
    assert claimed.due_key is not None
    ledger.submissions.hold_unreadable(claimed.id, claimed.due_key, "why")
    ledger.submissions.hold_unreadable(claimed.id, claimed.due_key, "why")
    assert keys(table) == ["attention", "log", "sub"]
    found = ledger.submissions.get(claimed.id)
    assert found is not None
    assert (found.state, found.reason, found.due, found.body) == (
        State.HELD,
        "why",
        None,
        claimed.body,
    )


@pytest.mark.parametrize("there", [(), (7,), (49, 50, 119)])
def test_many_submissions_are_recorded_at_once_and_existing_ones_stay(
    make_table: MakeTable, there: tuple[int, ...]
) -> None:
    table = make_table()
    ledger = Ledger(table)
    for number in there:
        ledger.submissions.claim(submission(number))
    ledger.submissions.record_all([skipped(number) for number in range(120)])
    found = [ledger.submissions.get(submission(number).id) for number in range(120)]
    states = [one.state if one else None for one in found]
    assert states == [
        State.SUBMITTING if number in there else State.SKIPPED for number in range(120)
    ]
    assert keys(table).count("log") == 120
