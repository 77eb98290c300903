"""The plan of a chaos run: it depends on the seed alone."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path

from local.chaos.options import CRASH_POINTS, START, ChaosOptions
from local.chaos.plan import facts_by_name, make_plan, triggers_file
from shared.config.load import load_config


def test_the_same_seed_gives_the_same_plan_and_another_seed_another_plan() -> None:
    plans = [make_plan(ChaosOptions(events=50, seed=seed)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]


def test_every_event_is_delivered_at_least_twice_and_every_crash_point_is_planned() -> None:
    options = ChaosOptions(events=200, seed=1, crashes=2)
    deliveries = [one for part in make_plan(options).rounds for one in part]
    counts = Counter(one.event.id for one in deliveries)
    assert len(counts) == 200
    assert min(counts.values()) >= 2
    crashes = Counter(one.crash for one in deliveries if one.crash)
    assert crashes == dict.fromkeys(CRASH_POINTS, 2)


def test_the_triggers_file_of_a_run_can_be_loaded(tmp_path: Path) -> None:
    options = ChaosOptions(events=400)
    endpoints = [
        "https://westeurope.api.azureml.ms/pipelines/v1.0/subscriptions/s/resourceGroups/g/providers/"
        f"Microsoft.MachineLearningServices/workspaces/w/PipelineRuns/PipelineSubmit/{number}"
        for number in range(options.groups)
    ]
    file = tmp_path / "triggers.yaml"
    file.write_text(triggers_file(options, endpoints=endpoints))
    assert len(load_config(file, settings={}).triggers) == 3 * options.groups


def test_facts_depend_on_the_name_alone() -> None:
    path = f"incoming/{START.timestamp():.0f}-000001.csv"
    facts = facts_by_name("DataStorage", "data", path)
    assert facts == facts_by_name("Other", "data", path)
    assert facts.last_modified == START


def test_the_clock_of_the_longest_run_advances_by_less_than_give_up_after() -> None:
    options = ChaosOptions(events=20_000)
    assert options.rounds * timedelta(minutes=40) < timedelta(hours=24)
