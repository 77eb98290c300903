"""What triggers start from: schedules, folders of blobs, and HTTP calls."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest

from shared.config.model import BlobDelivery, BlobSource, HttpSource, ScheduleSource, Start
from shared.config.path_rule import PathRule
from shared.schedules.cron import Cron
from shared.schedules.exclusions import Exclusions
from shared.schedules.recurrence import Frequency, Recurrence
from shared.schedules.schedule import CatchUp, CatchUpPolicy
from shared.schedules.zones import find_zone
from tests.unit.config.files import Load, ProblemsOf, daily, only, with_trigger


def schedule_of(load: Load, body: str) -> ScheduleSource:
    source = load(with_trigger(body)).triggers["t"].source
    assert isinstance(source, ScheduleSource)
    return source


def blob_of(load: Load, body: str, **settings: str) -> BlobSource:
    source = load(with_trigger(body), **settings).triggers["t"].source
    assert isinstance(source, BlobSource)
    return source


class TestSchedules:
    def test_a_schedule_with_all_keys(self, load: Load) -> None:
        body = """\
schedule:
  frequency: Month
  interval: 2
  month_days: [-1, 15]
  hours: [18, 6]
  minutes: [30]
  time_zone: W. Europe Standard Time
  start_time: 2027-03-01T00:00:00
  end_time: 2028-03-01T00:00:00
  except: [2027-12-24 to 2028-01-02]
  jitter: 10m
  catch_up: all
  catch_up_window: 7d
tags: {from: "{{ schedule.time }}"}
"""
        source = schedule_of(load, body)
        assert source.schedule.rule == Recurrence(
            frequency=Frequency.MONTH,
            interval=2,
            zone=find_zone("Europe/Berlin"),
            times=(time(6, 30), time(18, 30)),
            month_days=(15, -1),
        )
        assert source.schedule.start_time == datetime(2027, 3, 1)
        assert source.schedule.exclusions == Exclusions.parse(["2027-12-24 to 2028-01-02"])
        assert source.jitter == timedelta(minutes=10)
        assert source.catch_up == CatchUp(policy=CatchUpPolicy.ALL, window=timedelta(days=7))
        assert source.definition == (
            "every 2 months on day 15,last at 06:30,18:30 in Europe/Berlin from 2027-03-01T00:00:00"
        )

    @pytest.mark.parametrize(
        ("hours", "expected"),
        [
            ("hours: [6]", [time(6)]),
            ("minutes: [30]", [time(0, 30)]),
            ("time_of_day: 6:05", [time(6, 5)]),
        ],
    )
    def test_a_missing_hour_or_minute_is_0(
        self, load: Load, hours: str, expected: list[time]
    ) -> None:
        rule = schedule_of(load, daily(hours)).schedule.rule
        assert isinstance(rule, Recurrence)
        assert list(rule.times) == expected

    def test_a_cron_expression_with_run_at_start(self, load: Load) -> None:
        source = schedule_of(load, "schedule: {cron: 30 6 * * mon-fri, run_at_start: true}")
        assert source.schedule.rule == Cron("30 6 * * MON-FRI")
        assert source.schedule.run_at_start

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (
                "schedule: {frequency: minute, hours: [9]}",
                "hours: found a list; hours goes with frequency day, week or month, and this one is minute",
            ),
            (
                "schedule: {frequency: hour, minutes: [30]}",
                "minutes: found a list; minutes goes with frequency day, week or month, and this one is hour",
            ),
            (
                "schedule: {frequency: month, week_days: [monday]}",
                "week_days: found a list; week_days goes with frequency week, and this one is month",
            ),
            (
                "schedule: {frequency: week, month_days: [1]}",
                "month_days: found a list; month_days goes with frequency month, and this one is week",
            ),
            (
                "schedule: {cron: 0 0 * * *, hours: [1]}",
                "hours: found a list; hours goes with frequency, not with cron; remove it",
            ),
            (
                "schedule: {cron: 0 0 * * *, interval: 2}",
                "interval: found 2; interval goes with frequency, not with cron; remove it",
            ),
            (
                daily("time_of_day: 6:30, hours: [6]"),
                "hours: found a list; time_of_day already gives the time; remove hours or time_of_day",
            ),
            (
                daily("start_time: 2027-03-01T06:00:00, run_at_start: true"),
                "run_at_start: found true; it goes with a schedule that begins when the app registers it; "
                "remove it, or start_time",
            ),
            (
                daily("catch_up: none, catch_up_window: 1h"),
                "catch_up_window: found 1h; with catch_up: none, no missed occurrence runs; remove it",
            ),
        ],
    )
    def test_keys_that_do_not_go_together(
        self, problems_of: ProblemsOf, body: str, message: str
    ) -> None:
        assert only(problems_of(with_trigger(body))) == f"triggers.t.schedule.{message}"

    @pytest.mark.parametrize(
        ("body", "message"),
        [
            (
                "schedule: {frequency: month, interval: 12, month_days: [30], start_time: 2027-02-01T00:00}",
                "start_time: found 2027-02-01T00:00; the schedule can never fire: "
                "there is no occurrence from start_time on; change start_time, end_time or the rule",
            ),
            (
                daily("start_time: 2027-03-01T06:00:00, end_time: 2027-02-01T06:00:00"),
                "end_time: found 2027-02-01T06:00:00; end_time is before start_time; write a later end_time",
            ),
            (
                daily("start_time: 2027-03-01T06:00:00, end_time: 2027-04-01T06:00:00Z"),
                "end_time: found 2027-04-01T06:00:00Z; only one of start_time and end_time has an offset; write both "
                "with an offset or both without, best as local times (2027-03-01T06:00:00) with time_zone",
            ),
        ],
    )
    def test_a_beginning_and_an_end_without_occurrences(
        self, problems_of: ProblemsOf, body: str, message: str
    ) -> None:
        assert only(problems_of(with_trigger(body))) == f"triggers.t.schedule.{message}"

    @pytest.mark.parametrize(
        "keys",
        ["frequency: year, hours: [6]", "cron: 0 0 30 2 *, interval: 2", "cron: x, hours: [1]"],
    )
    def test_a_rule_with_a_problem_has_no_follow_up_problems(
        self, problems_of: ProblemsOf, keys: str
    ) -> None:
        problem = only(problems_of(with_trigger(f"schedule: {{{keys}}}")))
        assert problem.startswith(f"triggers.t.schedule.{keys.partition(':')[0]}: ")


class TestBlobs:
    def test_a_folder_has_its_datastore_and_its_rule(self, load: Load) -> None:
        body = "blob: {datastore: other, path: in/, recursive: true, include: ['a/*'], exclude: ['*.tmp']}"
        source = blob_of(load, body)
        assert source.datastore.name == "other"
        assert source.rule == PathRule("in", recursive=True, include=("a/*",), exclude=("*.tmp",))

    @pytest.mark.parametrize(
        ("said", "setting", "delivery"),
        [
            ("", None, BlobDelivery.EVENT_GRID),
            ("", "", BlobDelivery.EVENT_GRID),
            ("", "polling", BlobDelivery.POLLING),
            (", source: event_grid", "polling", BlobDelivery.EVENT_GRID),
            (", source: polling", None, BlobDelivery.POLLING),
        ],
    )
    def test_the_trigger_decides_how_blobs_are_detected_or_else_the_setting(
        self, load: Load, said: str, setting: str | None, delivery: BlobDelivery
    ) -> None:
        settings = {} if setting is None else {"BLOB_SOURCE": setting}
        source = blob_of(load, f"blob: {{datastore: ds{said}}}", **settings)
        assert source.delivery is delivery

    @pytest.mark.parametrize(
        ("text", "start"),
        [
            ("beginning", Start.BEGINNING),
            ("2027-03-27T03:30:00+02:00", datetime(2027, 3, 27, 1, 30, tzinfo=UTC)),
        ],
    )
    def test_a_start_is_a_word_or_an_instant(self, load: Load, text: str, start: object) -> None:
        assert blob_of(load, f"blob: {{datastore: ds, start: {text}}}").start == start

    def test_a_pattern_that_can_never_match_is_refused(
        self, load: Load, problems_of: ProblemsOf
    ) -> None:
        body = "blob: {datastore: ds, include: ['**/*.csv', 'sub/*.csv']}"
        assert only(problems_of(with_trigger(body))) == (
            "triggers.t.blob.include[1]: found sub/*.csv; it names a sub-folder and recursive is "
            "false, so no blob can match; write recursive: true"
        )
        assert blob_of(load, body.replace("ds,", "ds, recursive: true,")).rule.recursive

    def test_an_unknown_datastore_is_reported_with_those_that_the_file_declares(
        self, problems_of: ProblemsOf
    ) -> None:
        assert only(problems_of(with_trigger("blob: {datastore: othr}"))) == (
            "triggers.t.blob.datastore: found othr; there is no such datastore "
            "(did you mean other?); declared under datastores: ds, other"
        )

    def test_a_datastore_with_a_problem_is_declared_all_the_same(
        self, problems_of: ProblemsOf
    ) -> None:
        text = with_trigger("blob: {datastore: ds}").replace("container: data", "container: D")
        assert only(problems_of(text)).startswith("datastores.ds.container: found D; ")


def test_an_http_source_knows_the_names_that_its_templates_use(load: Load) -> None:
    body = """\
http: {allow_experiment: true}
tags: {a: "{{ http.body.day.of.week }}{{ http.query.q }}", b: "{{ trigger.name }}"}
parameters: {c: "{{ http.body['more'] | upper }}"}
"""
    assert load(with_trigger(body)).triggers["t"].source == HttpSource(
        allow_experiment=True,
        body_names=frozenset({"day", "more"}),
        query_names=frozenset({"q"}),
    )
