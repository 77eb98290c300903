"""Registrations, watermarks and overrides of triggers, over every table."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from local.testing.app import NOON
from local.testing.memory_table import Fault
from shared.core.errors import LedgerUnavailable, TriggerUnreadable
from shared.core.trigger_state import OwnWatermark, Registration, TriggerState
from shared.ledger.ledger import Ledger
from shared.ledger.rows import registration_key
from shared.ledger.table.protocol import Insert, Merge, Table
from tests.examples import keys, registration

type MakeTable = Callable[..., Table]


def test_a_registration_stays(make_table: MakeTable) -> None:
    table = make_table()
    first = Ledger(table).triggers.register(registration())
    again = Ledger(table).triggers.register(registration(hour=5))
    assert first == again
    assert (again.registered_at, again.cutoff) == (NOON, NOON - timedelta(minutes=15))


def test_another_source_key_is_a_new_registration_and_keeps_the_override(
    make_table: MakeTable,
) -> None:
    table = make_table()
    Ledger(table).triggers.register(registration())
    table.transact([Merge("trigger:nightly", {"override": "false"})])
    moved = Ledger(table).triggers.register(registration(source_key="schedule y", hour=5))
    assert (moved.registered_at, moved.enabled) == (NOON + timedelta(hours=5), False)


def test_without_a_cutoff_all_events_count(make_table: MakeTable) -> None:
    table = make_table()
    beginning = replace(registration(), cutoff=None)
    assert Ledger(table).triggers.register(beginning).cutoff is None
    assert Ledger(table).triggers.register(beginning).cutoff is None


def test_many_triggers_are_registered_at_once_and_old_ones_keep_their_registration(
    make_table: MakeTable,
) -> None:
    table = make_table()
    Ledger(table).triggers.register(registration("t-007"))
    states = Ledger(table).triggers.register_all(
        registration(f"t-{n:03}", hour=1) for n in range(120)
    )
    assert len(states) == 120
    assert states["t-007"].registered_at == NOON
    assert states["t-119"].registered_at == NOON + timedelta(hours=1)
    assert Ledger(table).triggers.register_all([registration("t-119")])[
        "t-119"
    ].registered_at == NOON + timedelta(hours=1)


def test_two_instances_that_register_a_trigger_at_once_agree(make_table: MakeTable) -> None:
    table = make_table()
    with ThreadPoolExecutor(8) as threads:
        states = list(
            threads.map(lambda n: Ledger(table).triggers.register(registration(hour=n)), range(8))
        )
    assert len({state.registered_at for state in states}) == 1


@pytest.mark.parametrize("fault", list(Fault))
def test_a_registration_whose_answer_was_lost_or_doubled_is_recorded(
    make_table: MakeTable, fault: Fault
) -> None:
    make_table().transact([Insert("warm", {})])
    left = [fault]
    table = make_table(lambda call: left.pop() if call == "transact" and left else None)
    assert Ledger(table).triggers.register(registration()).registered_at == NOON


def test_a_watermark_is_set_and_removed(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    names = [f"t-{number:03}" for number in range(120)]
    states = ledger.triggers.register_all(registration(name) for name in names)
    ledger.triggers.move_watermarks(dict.fromkeys(names, OwnWatermark(time=NOON)), states)
    states = ledger.triggers.register_all(registration(name) for name in names)
    assert {state.watermark for state in states.values()} == {NOON}
    assert {state.registered_at for state in states.values()} == {registration("t").time}
    ledger.triggers.move_watermarks(dict.fromkeys(names), states)
    states = ledger.triggers.register_all(registration(name) for name in names)
    assert {state.watermark for state in states.values()} == {None}


def test_a_watermark_that_another_instance_set_meanwhile_is_not_removed(
    make_table: MakeTable,
) -> None:
    table = make_table()
    mine, others = Ledger(table), Ledger(table)
    states = mine.triggers.register_all([registration("a"), registration("b")])
    others.triggers.move_watermarks(
        {"a": OwnWatermark(time=NOON)},
        others.triggers.register_all([registration("a"), registration("b")]),
    )
    mine.triggers.move_watermarks({"a": None, "b": OwnWatermark(time=NOON)}, states)
    states = mine.triggers.register_all([registration("a"), registration("b")])
    assert (states["a"].watermark, states["b"].watermark) == (NOON, NOON)


def test_a_registration_with_another_source_key_has_a_watermark_of_its_own(
    make_table: MakeTable,
) -> None:
    ledger = Ledger(make_table())
    ledger.triggers.move_watermarks(
        {"a": OwnWatermark(time=NOON)}, ledger.triggers.register_all([registration("a")])
    )
    moved = replace(registration("a"), source_key="another source")
    assert ledger.triggers.register_all([moved])["a"].watermark is None
    assert ledger.triggers.register_all([registration("a")])["a"].watermark == NOON


def test_a_table_that_does_not_answer_fails_a_registration(make_table: MakeTable) -> None:
    ledger = Ledger(make_table(lambda _call: Fault.NOT_CARRIED_OUT))
    with pytest.raises(LedgerUnavailable):
        ledger.triggers.register(
            Registration(name="nightly", source_key="schedule", cutoff=None, time=NOON)
        )


def test_states_are_read_without_a_registration(make_table: MakeTable) -> None:
    table = make_table()
    ledger = Ledger(table)
    known = ledger.triggers.register(registration("known"))
    states = ledger.triggers.read_states([registration("known", hour=1), registration("new")])
    assert states["known"] == known
    assert (states["new"].registered_at, states["new"].enabled) == (NOON, None)
    assert (states["known"].is_registered, states["new"].is_registered) == (True, False)
    assert keys(table) == ["trigger"]


def off(state: TriggerState) -> TriggerState:
    return state.override(False, enabled_in_file=True, now=NOON, by="ada")


@pytest.mark.parametrize("fault", list(Fault))
def test_an_override_whose_answer_was_lost_or_doubled_is_recorded_once(
    make_table: MakeTable, fault: Fault
) -> None:
    Ledger(make_table()).triggers.register(registration())
    left = [fault]
    table = make_table(lambda call: left.pop() if call == "transact" and left else None)
    after = Ledger(table).triggers.override(registration(), off)
    assert after.disabled_periods == ((NOON, None),)
    found = Ledger(make_table()).triggers.read_states([registration()])["nightly"]
    assert found == after
    assert (found.enabled, found.overridden_by) == (False, "ada")


def test_an_override_of_a_new_trigger_registers_it(make_table: MakeTable) -> None:
    ledger = Ledger(make_table())
    ledger.triggers.override(registration(), off)
    found = ledger.triggers.read_states([registration()])["nightly"]
    assert (found.is_registered, found.registered_at, found.enabled) == (True, NOON, False)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("trigger:a", {"enabled_at": "yesterday"}),
        (registration_key("a", "schedule x"), {"registered_at": "yesterday"}),
    ],
)
def test_a_row_that_cannot_be_read_is_an_error_of_its_trigger(
    make_table: MakeTable, key: str, values: dict[str, str]
) -> None:
    table = make_table()
    ledger = Ledger(table)
    both = [registration("a"), registration("b")]
    ledger.triggers.register_all(both)
    table.transact([Merge(key, values)])
    for states in (ledger.triggers.register_all(both), ledger.triggers.read_states(both)):
        assert f"{key} cannot be read" in str(states["a"].error)
        assert states["b"].error is None
    with pytest.raises(TriggerUnreadable, match=f"{key} cannot be read"):
        ledger.triggers.register(registration("a"), past_cache=True)
