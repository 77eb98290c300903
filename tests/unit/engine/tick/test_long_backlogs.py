"""More `due:` rows than a tick reads: those of one trigger do not keep the rows behind them waiting."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from local.testing.app import NOON
from shared.clients.circuit import CALLS_PER_ENDPOINT
from shared.core.submissions import State
from shared.core.times import print_instant
from shared.engine.tick import due
from shared.engine.tick.due import MORE_PAGES, PAGES
from shared.engine.tick.tick import BUDGET, TickReport
from shared.ledger.rows import due_key
from shared.ledger.table.protocol import Value
from tests.unit.engine.tick.sites import Site, wait_for, write_triggers

TRIGGERS = ["dead: {pipeline: dead, http: {}}", "healthy: {pipeline: healthy, http: {}}"]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Give an app of two triggers, of which `dead` has an endpoint that hangs."""
    opened = Site(write_triggers(tmp_path, *TRIGGERS))
    yield opened
    opened.close()


def pile_up(site: Site, count: int) -> None:
    """Make so many `pending` submissions of the trigger `dead`, which are due before all others."""
    site.refuse("dead", 1)
    (one,) = site.submissions("dead")
    row = site.table.get(f"sub:{one.id}")
    assert row is not None
    loaded: dict[str, Mapping[str, Value]] = {}
    for number in range(count):
        due = NOON - timedelta(days=1) + timedelta(milliseconds=number)
        key = f"{number:032x}"
        values = {"due": print_instant(due), "due_key": due_key(due, key)}
        loaded[f"sub:{key}"] = {**row.values, **values}
        loaded[due_key(due, key)] = {"trigger": "dead", "state": "pending"}
    site.table.load(loaded)


def tick_and_count_pages(site: Site) -> tuple[TickReport, int]:
    before = site.table.calls["page"]
    report = site.tick()
    return report, site.table.calls["page"] - before


def test_a_row_behind_30000_of_a_dead_endpoint_is_worked_on_within_two_ticks(site: Site) -> None:
    pile_up(site, 30_000)
    site.refuse("healthy", 1)
    tick = site.begin_tick()
    wait_for(lambda: site.workspace.hanging == CALLS_PER_ENDPOINT)
    site.clock.advance(seconds=BUDGET.total_seconds())
    assert tick.result(10).due.left
    report, pages = tick_and_count_pages(site)
    assert report.due.left
    assert site.states("healthy") == {State.SUBMITTED: 1}
    assert (
        pages <= PAGES + MORE_PAGES + 4
    )  # triggers, ticks, the repair walk, the count of attention rows


def test_every_tick_reads_on_where_the_last_one_stopped_and_then_begins_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "PAGES", 1)
    monkeypatch.setattr(due, "MORE_PAGES", 2)
    pile_up(site, 7_500)
    tick = site.begin_tick()
    wait_for(lambda: site.workspace.hanging == CALLS_PER_ENDPOINT)
    site.clock.advance(seconds=BUDGET.total_seconds())
    tick.result(10)
    for round_ in ("first", "second"):
        site.withdraw("healthy", round_)
        ticks = 0
        while site.states("healthy")[State.PENDING]:
            _, pages = tick_and_count_pages(site)
            assert pages <= 1 + 2 + 4
            ticks += 1
            assert ticks <= 5


def test_a_trigger_behind_the_first_pages_gets_more_than_one_row_a_tick(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due, "PAGES", 1)
    pile_up(site, 1_500)
    site.refuse("healthy", 50)
    tick = site.begin_tick()
    wait_for(lambda: site.states("healthy") == {State.SUBMITTED: 50})
    site.clock.advance(seconds=BUDGET.total_seconds())
    assert tick.result(10).due.done == 50
