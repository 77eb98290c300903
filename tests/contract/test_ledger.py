"""The ledger's rules, over every table."""

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
from datetime import UTC, datetime, timedelta

import pytest

from local.standins.azurite import Azurite
from local.testing.memory_table import Fault, MemoryTable
from shared.core.errors import LedgerError, LedgerUnavailable
from shared.core.events import BlobEvent, HttpEvent, deduplication_key
from shared.core.outcomes import Outcome, OutcomeKind
from shared.core.submissions import LEASE, State, Submission
from shared.core.transitions import settle
from shared.core.trigger_state import Registration
from shared.ledger.ledger import Ledger
from shared.ledger.table.protocol import Delete, Insert, Merge, Table
from shared.ledger.tick import TickState

type MakeTable = Callable[..., Table]

NOON = datetime(2027, 3, 27, 12, 0, tzinfo=UTC)
STARTED = Outcome(kind=OutcomeKind.STARTED, run_id="run-1", status=200, request_id="r1")


def submission(number: int = 1, **changes: object) -> Submission:
    event = BlobEvent(
        trigger="new-data",
        account="lake",
        container="data",
        path=f"incoming/añb {number}.csv",
        url="https://lake.blob.core.windows.net/data/x",
        etag="0x8DC",
        size=3,
        last_modified=NOON,
        metadata={"team": "blue"},
    )
    made = Submission(
        id=deduplication_key(event),
        trigger="new-data",
        pipeline="scoring",
        kind="published_pipeline",
        endpoint_digest="0123456789abcdef",
        event=event,
        body=b'{"ExperimentName":"E"}',
        created=NOON,
        updated=NOON,
        due=NOON + LEASE,
    )
    return replace(made, **changes)  # type: ignore[arg-type]  # tests name real fields


def started(row: Submission) -> Submission:
    return settle(row, STARTED, generation=1, now=NOON + timedelta(seconds=2))


def keys(table: Table) -> list[str]:
    return [row.key.partition(":")[0] for row in table.page(" ", "~").rows]


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


def test_an_unknown_submission_is_none(make_table: MakeTable) -> None:
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


def test_newer_submissions_come_first_in_the_log(make_table: MakeTable) -> None:
    table = make_table()
    for number in range(3):
        Ledger(table).submissions.claim(
            submission(number, created=NOON + timedelta(seconds=number))
        )
    created = [row.values["created"] for row in table.page("log:", "log;").rows]
    assert created == sorted(created, key=str, reverse=True)


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


def test_what_leaves_attention_loses_its_row(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    claimed = ledger.submissions.claim(submission())
    held = ledger.submissions.update(claimed, lambda row: replace(row, state=State.HELD, due=None))
    assert keys(table) == ["attention", "log", "sub"]
    ledger.submissions.update(held, lambda row: replace(row, state=State.SKIPPED))
    assert keys(table) == ["log", "sub"]


def test_a_due_row_that_somebody_removed_does_not_stop_an_update(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    claimed = ledger.submissions.claim(submission())
    assert claimed.due_key is not None
    table.transact([Delete(claimed.due_key)])
    assert ledger.submissions.update(claimed, started).state is State.SUBMITTED
    assert keys(table) == ["due", "log", "reference", "sub"]


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
    other = replace(STARTED, run_id="run-2", request_id="r2")
    theirs.submissions.update(claimed, lambda row: settle(row, other, generation=1, now=NOON))
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
from local.standins.faulty_transport import FaultyTransport
from shared.ledger.ledger import Ledger
from shared.ledger.table.azure import CLIENT_OPTIONS, AzureTable
from local.testing.memory_table import Fault
from shared.ledger.rows import decode_submission
from shared.ledger.table.protocol import Row
from shared.core.submissions import Submission
from shared.core.events import ScheduleEvent, event_id
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
        id=event_id(event), trigger="nightly", pipeline="p", kind="k", endpoint_digest="x", event=event,
        body=b"{}", created=NOON, updated=NOON, due=NOON,
    )).won else None

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


def test_a_ledger_that_does_not_answer_fails_loudly(make_table: MakeTable) -> None:
    ledger = Ledger(make_table(lambda _call: Fault.NOT_CARRIED_OUT))
    with pytest.raises(LedgerUnavailable):
        ledger.submissions.claim(submission())
    with pytest.raises(LedgerUnavailable):
        ledger.submissions.get(submission().id)
    with pytest.raises(LedgerUnavailable):
        ledger.tick.read()
    with pytest.raises(LedgerUnavailable):
        ledger.triggers.register(
            Registration(name="nightly", source_key="schedule", cutoff=None, time=NOON)
        )


def sight(name: str = "nightly", source_key: str = "schedule x", hour: int = 0) -> Registration:
    time = NOON + timedelta(hours=hour)
    return Registration(
        name=name, source_key=source_key, cutoff=time - timedelta(minutes=15), time=time
    )


def test_the_first_sight_of_a_trigger_stays(make_table: MakeTable) -> None:
    table = make_table()
    first = Ledger(table).triggers.register(sight())
    again = Ledger(table).triggers.register(sight(hour=5))
    assert first == again
    assert (again.registered_at, again.cutoff) == (NOON, NOON - timedelta(minutes=15))


def test_another_place_is_a_new_first_sight_and_keeps_a_persons_override(
    make_table: MakeTable,
) -> None:
    table = make_table()
    Ledger(table).triggers.register(sight())
    table.transact([Merge("trigger:nightly", {"override": "false"})])
    moved = Ledger(table).triggers.register(sight(source_key="schedule y", hour=5))
    assert (moved.registered_at, moved.enabled) == (NOON + timedelta(hours=5), False)


def test_a_floor_may_be_missing_so_that_everything_counts(make_table: MakeTable) -> None:
    table = make_table()
    beginning = replace(sight(), cutoff=None)
    assert Ledger(table).triggers.register(beginning).cutoff is None
    assert Ledger(table).triggers.register(beginning).cutoff is None


def test_many_triggers_are_seen_at_once_and_old_ones_keep_their_first_sight(
    make_table: MakeTable,
) -> None:
    table = make_table()
    Ledger(table).triggers.register(sight("t-007"))
    states = Ledger(table).triggers.register_all(sight(f"t-{n:03}", hour=1) for n in range(120))
    assert len(states) == 120
    assert states["t-007"].registered_at == NOON
    assert states["t-119"].registered_at == NOON + timedelta(hours=1)
    assert Ledger(table).triggers.register_all([sight("t-119")])[
        "t-119"
    ].registered_at == NOON + timedelta(hours=1)


def test_two_instances_that_see_a_trigger_first_agree(make_table: MakeTable) -> None:
    table = make_table()
    with ThreadPoolExecutor(8) as threads:
        seen = list(threads.map(lambda n: Ledger(table).triggers.register(sight(hour=n)), range(8)))
    assert len({state.registered_at for state in seen}) == 1


@pytest.mark.parametrize("fault", list(Fault))
def test_a_first_sight_whose_answer_was_lost_or_doubled_is_recorded(
    make_table: MakeTable, fault: Fault
) -> None:
    make_table().transact([Insert("warm", {})])
    left = [fault]
    table = make_table(lambda call: left.pop() if call == "transact" and left else None)
    assert Ledger(table).triggers.register(sight()).registered_at == NOON


def test_the_tick_is_remembered(make_table: MakeTable) -> None:
    table = make_table()
    assert Ledger(table).tick.read() == TickState()
    Ledger(table).tick.write(TickState(watermark=NOON, last=NOON + timedelta(seconds=1)))
    assert Ledger(table).tick.read() == TickState(watermark=NOON, last=NOON + timedelta(seconds=1))


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
        change = functools.partial(settle, outcome=outcome, generation=1, now=NOON)
        row = ledger.submissions.update(row, change)
    found = ledger.submissions.get(row.id)
    assert found is not None
    assert [attempt.request_id for attempt in found.attempts][-1] == "r24"
    assert len(found.attempts) >= 15


def test_without_faults_an_event_costs_two_transactions() -> None:
    table = MemoryTable()
    ledger = Ledger(table)
    ledger.submissions.update(ledger.submissions.claim(submission()), started)
    assert table.calls == {"transact": 2}


def test_what_is_known_of_a_trigger_is_read_every_30_seconds() -> None:
    table = MemoryTable()
    time = [100.0]
    ledger = Ledger(table, monotonic=lambda: time[0])
    for seconds in (0, 29, 1, 29, 1):
        time[0] += seconds
        ledger.triggers.register(sight())
    assert table.calls["get"] == 3


def test_of_many_that_take_a_submission_one_succeeds_while_answers_are_dropped(
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


def test_the_newest_run_of_an_experiment_is_known(make_table: MakeTable) -> None:
    ledger = Ledger(make_table())
    assert ledger.submissions.reference_run("0123456789abcdef", "E") is None
    for number in range(2):
        outcome = replace(STARTED, run_id=f"run-{number}", request_id=f"r{number}")
        change = functools.partial(settle, outcome=outcome, generation=1, now=NOON)
        newest = ledger.submissions.update(ledger.submissions.claim(submission(number)), change)
    found = ledger.submissions.reference_run("0123456789abcdef", "E")
    assert found is not None
    assert (found.correlation_id, found.started) == (newest.correlation_id, newest.updated)
    assert ledger.submissions.reference_run("0123456789abcdef", "other") is None


def test_what_is_due_comes_the_longest_due_first_and_not_what_is_due_later(
    make_table: MakeTable,
) -> None:
    ledger = Ledger(make_table())
    for number in (3, 1, 2, 9):
        ledger.submissions.claim(submission(number, due=NOON + timedelta(minutes=number)))
    page = ledger.due.page(NOON + timedelta(minutes=3))
    assert [row.key.split(":")[1] for row in page.rows] == [
        f"20270327T120{number}00.000000Z" for number in (1, 2, 3)
    ]
    assert page.continuation is None
    assert page.rows[0].values["trigger"] == "new-data"


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


def test_the_repair_walk_gives_an_overdue_submission_its_due_row_back(
    make_table: MakeTable,
) -> None:
    table = make_table()
    ledger = Ledger(table)
    for number in range(5):
        ledger.submissions.claim(submission(number))
    lost = ledger.submissions.claim(submission(7))
    assert lost.due_key is not None
    table.transact([Delete(lost.due_key)])
    late = NOON + timedelta(hours=1)
    repair_position, rounds = "", 0
    while (repair_position := ledger.due.repair(repair_position, now=late, limit=2)) or not rounds:
        rounds += 1
        assert rounds < 10
    assert table.get(lost.due_key) is not None


def test_the_repair_walk_leaves_alone_what_is_not_overdue(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    claimed = ledger.submissions.claim(submission())
    assert claimed.due_key is not None
    table.transact([Delete(claimed.due_key)])
    ledger.due.repair("", now=NOON, limit=100)
    assert table.get(claimed.due_key) is None


def skipped(number: int) -> Submission:
    return submission(number, state=State.SKIPPED, due=None, body=None, reason="missed")


@pytest.mark.parametrize("there", [(), (7,), (49, 50, 119)])
def test_many_are_recorded_at_once_and_those_that_are_there_stay(
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


@pytest.mark.parametrize("fault", [Fault.ANSWER_LOST, Fault.SENT_TWICE])
def test_many_whose_answer_was_lost_or_doubled_are_recorded_once(fault: Fault) -> None:
    calls: list[str] = []

    def first(call: str) -> Fault | None:
        calls.append(call)
        return fault if calls == ["transact"] else None

    table = MemoryTable(fault=first)
    Ledger(table).submissions.record_all([skipped(number) for number in range(3)])
    assert keys(table) == ["log"] * 3 + ["sub"] * 3


def test_a_mark_is_left_and_taken_away(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    names = [f"t-{number:03}" for number in range(120)]
    states = ledger.triggers.register_all(sight(name) for name in names)
    ledger.triggers.move_watermarks(dict.fromkeys(names, NOON), states)
    states = ledger.triggers.register_all(sight(name) for name in names)
    assert {state.watermark for state in states.values()} == {NOON}
    assert {state.registered_at for state in states.values()} == {sight("t").time}
    ledger.triggers.move_watermarks(dict.fromkeys(names), states)
    states = ledger.triggers.register_all(sight(name) for name in names)
    assert {state.watermark for state in states.values()} == {None}


def test_a_mark_that_another_instance_left_meanwhile_is_not_taken_away(
    make_table: MakeTable,
) -> None:
    table = make_table()
    mine, others = Ledger(table), Ledger(table)
    states = mine.triggers.register_all([sight("a"), sight("b")])
    others.triggers.move_watermarks(
        {"a": NOON}, others.triggers.register_all([sight("a"), sight("b")])
    )
    mine.triggers.move_watermarks({"a": None, "b": NOON}, states)
    states = mine.triggers.register_all([sight("a"), sight("b")])
    assert (states["a"].watermark, states["b"].watermark) == (NOON, NOON)


def test_a_new_first_sight_leaves_nothing_behind(make_table: MakeTable) -> None:
    ledger = Ledger(make_table())
    ledger.triggers.move_watermarks({"a": NOON}, ledger.triggers.register_all([sight("a")]))
    moved = replace(sight("a"), source_key="elsewhere")
    assert ledger.triggers.register_all([moved])["a"].watermark is None
    known = ledger.triggers.get("a")
    assert known is not None
    assert (known.source_key, known.watermark) == ("elsewhere", None)
    assert ledger.triggers.get("b") is None
