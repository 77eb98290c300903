"""Lists of submissions: filters, pages, cursors and how many storage calls they cost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from local.testing.app import NOON, Bench
from shared.core.errors import (
    InvalidRequest,
)
from shared.core.submissions import State
from shared.ledger.table.protocol import Merge
from shared.operations.listing import (
    MAX_LIST_PAGES,
    SubmissionFilter,
    SubmissionPage,
    list_submissions,
    write_cursor,
)
from tests.unit.operations.calls import DEAD, LOST, TRIGGERS, start

type MakeBench = Callable[..., Bench]


def test_submissions_are_listed_newest_first_by_trigger_and_state(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    for number in range(5):
        start(bench, DEAD if number % 2 else None, key=str(number))
        bench.clock.advance(seconds=1)
    held = start(bench, LOST, trigger="careful")
    ledger = bench.app.services.ledger
    everything = list_submissions(ledger)
    assert [one.created for one in everything.submissions] == sorted(
        (one.created for one in everything.submissions), reverse=True
    )
    assert len(everything.submissions) == 6
    assert everything.cursor is None
    assert [
        one.id for one in list_submissions(ledger, SubmissionFilter(state=State.HELD)).submissions
    ] == [held.id]
    assert len(list_submissions(ledger, SubmissionFilter(state=State.DEAD)).submissions) == 2
    assert len(list_submissions(ledger, SubmissionFilter(state=State.SUBMITTED)).submissions) == 3
    assert list_submissions(ledger, SubmissionFilter(trigger="careful")).submissions == (held,)
    first = list_submissions(ledger, limit=2)
    assert len(first.submissions) == 2
    rest = list_submissions(ledger, limit=10, cursor=first.cursor)
    assert len(rest.submissions) == 4


def fill(bench: Bench, count: int) -> None:
    """Put rows straight into the table: submissions of trigger `call`, a second apart, the newest first."""
    keys = [f"log:{number:017d}:{number:032x}" for number in range(count)]
    values = {
        "trigger": "call",
        "state": "finished",
        "source": "http",
        "created": "2027-03-27T11:00:00Z",
        "run_id": "",
    }
    bench.table.load(dict.fromkeys(keys, values))
    template = start(bench, None)
    (row,) = bench.table.page(f"sub:{template.id}", f"sub:{template.id}~").rows
    identifiers = [key.rpartition(":")[2] for key in keys[:300]]
    bench.table.load({f"sub:{identifier}": row.values for identifier in identifiers})


@pytest.mark.large
def test_a_listing_of_100_among_a_million_costs_a_bounded_number_of_calls(
    make_bench: MakeBench,
) -> None:
    bench = make_bench(TRIGGERS)
    fill(bench, 1_000_000)
    ledger = bench.app.services.ledger

    def calls(
        wanted: SubmissionFilter, cursor: str | None = None
    ) -> tuple[dict[str, int], SubmissionPage]:
        before = bench.table.calls.copy()
        page = list_submissions(ledger, wanted, limit=100, cursor=cursor)
        return dict(bench.table.calls - before), page

    counted, first = calls(SubmissionFilter())
    assert (counted, len(first.submissions)) == ({"page": 1, "get": 100}, 100)
    counted, second = calls(SubmissionFilter(), first.cursor)
    assert (counted, len(second.submissions)) == ({"page": 1, "get": 100}, 100)
    assert not {one.id for one in first.submissions} & {one.id for one in second.submissions}
    counted, some = calls(SubmissionFilter(trigger="call", state=State.FINISHED))
    assert (counted, len(some.submissions)) == ({"page": 1, "get": 100}, 100)
    for wanted in (SubmissionFilter(trigger="careful"), SubmissionFilter(state=State.SKIPPED)):
        counted, nothing = calls(wanted)
        assert (counted, nothing.submissions) == ({"page": MAX_LIST_PAGES}, ())
        assert nothing.cursor is not None
        counted, still = calls(wanted, nothing.cursor)
        assert (counted, still.submissions) == ({"page": MAX_LIST_PAGES}, ())
        assert still.cursor not in (None, nothing.cursor)
    later = SubmissionFilter(since=NOON + timedelta(days=1))
    counted, nothing = calls(later)
    assert (counted, nothing) == ({"page": 1}, SubmissionPage(submissions=(), cursor=None))
    counted, nothing = calls(SubmissionFilter(state=State.DEAD))
    assert (counted, nothing.cursor) == ({"page": 1}, None)


@pytest.mark.parametrize(
    "cursor", ["", "x", "ü", "../tick", "A" * 400, "bG9nOjE", write_cursor("sub:" + "0" * 32)]
)
@pytest.mark.parametrize("state", [None, State.DEAD])
def test_a_cursor_that_no_such_list_made_is_refused(
    make_bench: MakeBench, cursor: str, state: State | None
) -> None:
    with pytest.raises(InvalidRequest):
        list_submissions(
            make_bench(TRIGGERS).app.services.ledger, SubmissionFilter(state=state), cursor=cursor
        )


def test_pages_follow_each_other_and_the_last_one_says_so(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    expected = {start(bench, DEAD, key=str(number)).id for number in range(7)}
    for wanted in (
        SubmissionFilter(),
        SubmissionFilter(state=State.DEAD),
        SubmissionFilter(trigger="call"),
    ):
        cursor, found = None, []
        for rest in (4, 1, None):
            page = list_submissions(bench.app.services.ledger, wanted, limit=3, cursor=cursor)
            found += [one.id for one in page.submissions]
            cursor = page.cursor
            assert (cursor is None) is (rest is None)
        assert (len(found), set(found)) == (7, expected)


def test_since_leaves_out_older_submissions(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    start(bench, DEAD, key="1")
    bench.clock.advance(hours=1)
    new = start(bench, DEAD, key="2")
    for state in (None, State.DEAD):
        wanted = SubmissionFilter(state=state, since=bench.clock.now())
        (found,) = list_submissions(bench.app.services.ledger, wanted).submissions
        assert found.id == new.id


def test_an_edited_row_does_not_hide_the_others(make_bench: MakeBench) -> None:
    bench = make_bench(TRIGGERS)
    good, bad = start(bench, None, key="1"), start(bench, None, key="2")
    bench.table.transact([Merge(f"sub:{bad.id}", {"generation": "many"})])
    page = list_submissions(bench.app.services.ledger)
    assert [one.id for one in page.submissions] == [good.id]
    assert page.unreadable == (bad.id,)
