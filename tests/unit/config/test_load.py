"""Loading the file: what it becomes, and what is said about every mistake."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.config.load import MAX_BYTES, load_config
from shared.config.model import (
    BlobDelivery,
    BlobSource,
    Config,
    DataPathTemplate,
    DatasetReferenceTemplate,
    HttpSource,
    ScheduleSource,
    Start,
)
from shared.config.path_rule import PathRule
from shared.config.schema.file import BlobEntry, PipelineEntry, TriggerEntry
from shared.config.schema.schedule import ScheduleEntry
from shared.config.schema.values import DatasetEntry
from shared.config.templates.template import Template
from shared.core.errors import FileError, Problem
from shared.pipelines.workspaces import WorkspaceId
from shared.schedules.cron import Cron
from shared.schedules.exclusions import Exclusions
from shared.schedules.recurrence import Frequency, Recurrence
from shared.schedules.schedule import CatchUp, CatchUpPolicy
from shared.schedules.zones import find_zone

ENDPOINT = (
    "https://westeurope.api.azureml.ms/pipelines/v1.0/subscriptions/s/resourceGroups/g/providers/"
    "Microsoft.MachineLearningServices/workspaces/w/PipelineRuns/PipelineSubmit/0a1b"
)
SETTINGS = {
    "SCORING_ENDPOINT": ENDPOINT,
    "DATA_CONTAINER": "data",
    "DATE": "2027-01-01",
    "STORAGE_KEY": "hush-hush",
    "SECRET_TEMPLATE": "{{ hush.hush }}",
    "NESTED": "${DATE} $${DATE}",
    "EMPTY": "",
}
HEAD = """\
datastores:
  ds: {connection: DataStorage, container: data}
  other: {connection: OtherStorage, container: other}
"""
PIPELINES = """\
pipelines:
  scoring:
    kind: published_pipeline
    endpoint: ${SCORING_ENDPOINT}
    experiment: E
"""

type Load = Callable[..., Config]
type Mistakes = Callable[..., list[Problem]]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def load(text: str, **settings: str) -> Config:
        file = tmp_path / "triggers.yaml"
        file.write_text(text, encoding="utf-8")
        return load_config(file, settings={**SETTINGS, **settings})

    return load


@pytest.fixture
def mistakes(load: Load) -> Mistakes:
    def mistakes(text: str, **settings: str) -> list[Problem]:
        with pytest.raises(FileError) as caught:
            load(text, **settings)
        return list(caught.value.problems)

    return mistakes


def with_trigger(body: str, *, pipeline: str = "") -> str:
    """Return a file whose only trigger `t` has a body, one key a line."""
    lines = "".join(f"    {line}\n" for line in pipeline.splitlines())
    inner = "".join(f"    {line}\n" for line in body.splitlines())
    return f"{HEAD}{PIPELINES}{lines}triggers:\n  t:\n    pipeline: scoring\n{inner}"


def only(problems: list[Problem]) -> str:
    assert len(problems) == 1, [f"{one.where}: {one.message}" for one in problems]
    return f"{problems[0].where}: {problems[0].message}"


def daily(more: str) -> str:
    return f"schedule: {{frequency: day, {more}}}"


AT = "triggers.t.schedule"
NO_ZONE = (
    "write an IANA name such as Europe/Berlin, or a Windows name such as Pacific Standard Time"
)
SCHEDULES: list[tuple[str, str]] = [
    ("schedule: {frequency: day, interval: 1000000000}", "found 1000000000; at most 100000 is"),
    (
        "schedule: {cron: 0 0 0 1 1 *}",
        f"{AT}.cron: found 0 0 0 1 1 *; a cron expression has exactly five fields (minute, hour, day of month, "
        "month, day of week) and this one has 6; write for example 30 6 * * MON-FRI",
    ),
    (
        "schedule: {frequency: minute, hours: [9]}",
        f"{AT}.hours: found a list; hours goes with frequency day, week or month, and this one is minute",
    ),
    (
        "schedule: {frequency: hour, minutes: [30]}",
        f"{AT}.minutes: found a list; minutes goes with frequency day, week or month, and this one is hour",
    ),
    (
        "schedule: {frequency: month, week_days: [monday]}",
        f"{AT}.week_days: found a list; week_days goes with frequency week, and this one is month",
    ),
    (
        "schedule: {frequency: week, month_days: [1]}",
        f"{AT}.month_days: found a list; month_days goes with frequency month, and this one is week",
    ),
    (
        "schedule: {cron: 0 0 * * *, hours: [1]}",
        f"{AT}.hours: found a list; hours goes with frequency, not with cron; remove it",
    ),
    (
        daily("time_of_day: 6:30, hours: [6]"),
        f"{AT}.hours: found a list; time_of_day says it already; remove hours or time_of_day",
    ),
    (
        daily("time_of_day: 24:00"),
        f"{AT}.time_of_day: found 24:00; a time of day is hour:minute from 0:00 to 23:59, such as 6:30",
    ),
    (daily("time_of_day: '630'"), "a time of day is hour:minute"),
    (daily("hours: [24]"), f"{AT}.hours[0]: found 24; at most 23 is allowed"),
    (daily("minutes: [0, -1]"), f"{AT}.minutes[1]: found -1; at least 0 is allowed"),
    (daily("hours: 6"), f"{AT}.hours: found 6; a list is needed, in square brackets"),
    (daily("hours: []"), f"{AT}.hours: found a list; the list is empty; name at least one"),
    (daily("hours: [6, 6]"), f"{AT}.hours: found a list; something stands there twice"),
    (
        "schedule: {frequency: week, week_days: [Mon]}",
        f"{AT}.week_days[0]: found Mon; allowed: monday, tuesday, wednesday",
    ),
    (
        "schedule: {frequency: month, month_days: [32]}",
        f"{AT}.month_days[0]: found 32; a day of the month is 1 to 31, or -1 for the last",
    ),
    ("schedule: {frequency: month, month_days: [0]}", "a day of the month is 1 to 31, or -1"),
    ("schedule: {frequency: month, month_days: [-2]}", "a day of the month is 1 to 31, or -1"),
    (
        "schedule: {frequency: month, interval: 12, month_days: [30], start_time: 2027-02-01T00:00}",
        f"{AT}.start_time: found 2027-02-01T00:00; the schedule can never fire: there is no occurrence from start_time on",  # noqa: E501 — a message whole
    ),
    (
        daily("time_zone: Europe/Berln"),
        f"{AT}.time_zone: found Europe/Berln; there is no such time zone (did you mean Europe/Berlin",
    ),
    (daily("time_zone: Mars/Olympus"), NO_ZONE),
    (
        daily("start_time: 2027-02-30T06:00:00"),
        f"{AT}.start_time: found 2027-02-30T06:00:00; there is no such day or time in the calendar",
    ),
    (
        daily("start_time: 2027-03-01"),
        f"{AT}.start_time: found 2027-03-01; a time is written 2027-03-01T06:00:00, local to time_zone; "
        "an offset (Z, +01:00) may follow",
    ),
    (
        daily("start_time: 2027-03-01T06:00:00, end_time: 2027-02-01T06:00:00"),
        f"{AT}.end_time: found 2027-02-01T06:00:00; end_time is before start_time",
    ),
    (
        daily("start_time: 2027-03-01T06:00:00, end_time: 2027-04-01T06:00:00Z"),
        f"{AT}.end_time: found 2027-04-01T06:00:00Z; one of start_time and end_time has an offset and the other has "
        "none; write both alike, best as local times (2027-03-01T06:00:00) with time_zone",
    ),
    (
        daily("start_time: 2027-03-01T06:00:00, run_at_start: true"),
        f"{AT}.run_at_start: found true; it goes with a schedule that begins when the app first sees it; "
        "remove it, or start_time",
    ),
    (daily("except: [2027-02-30]"), f"{AT}.except[0]: found 2027-02-30; there is no such day in the calendar"),
    (daily("except: 2027-02-20"), f"{AT}.except: found 2027-02-20; a list is needed"),
    (daily("excluded: [2027-02-20]"), "the key excluded is not known; allowed are frequency, interval"),
    (daily("jitter: 13h"), f"{AT}.jitter: found 13h; at most 12h is allowed"),
    (daily("jitter: 5"), "text is needed"),
    (daily("jitter: 5 min"), f"{AT}.jitter: found 5 min; a span of time is a whole number above 0"),
    (daily("catch_up: some"), f"{AT}.catch_up: found some; allowed: none, latest, all"),
    (daily("catch_up: all, catch_up_window: 400d"), "found 400d; at most 366d is allowed"),
    (
        daily("catch_up: none, catch_up_window: 1h"),
        f"{AT}.catch_up_window: found 1h; with catch_up: none nothing is made up for; remove it",
    ),
]  # fmt: skip


class TestWhatAFileBecomes:
    def test_the_designs_sample(self, load: Load) -> None:
        config = load(
            HEAD.replace("ds:", "workspaceblobstore:").replace("container: data", "container: '${DATA_CONTAINER}'")
            + PIPELINES
            + """\
    parameters: {input_string: sample_string3, n: 3}
triggers:
  every-15-minutes:
    description: Based on time
    pipeline: scoring
    schedule: {frequency: Minute, interval: 15}
  new-data:
    pipeline: scoring
    blob: {datastore: workspaceblobstore, path: incoming/, include: ["*.csv"]}
    data_paths: {input_datapath: "{{ blob.path }}"}
  on-demand:
    pipeline: scoring
    http:
    parameters: {day: "{{ http.body.day.of.week }}", q: "{{ http.query.q }}", n: 4}
"""
        )  # fmt: skip
        assert list(config.triggers) == ["every-15-minutes", "new-data", "on-demand"]
        assert len(config.digest) == 12
        schedule, blob, http = config.triggers.values()
        assert isinstance(schedule.source, ScheduleSource)
        assert schedule.source.schedule.rule == Recurrence(frequency=Frequency.MINUTE, interval=15)
        assert not schedule.source.schedule.run_at_start
        assert schedule.source.definition == "every 15 minutes"
        assert schedule.values.description == Template(text="Based on time")
        assert isinstance(blob.source, BlobSource)
        assert blob.source.rule == PathRule("incoming", include=("*.csv",))
        assert blob.source.datastore.container == "data"
        assert (blob.source.delivery, blob.source.start) == (BlobDelivery.EVENT_GRID, Start.NOW)
        path = blob.values.data_paths["input_datapath"]
        assert path.datastore == "workspaceblobstore"
        assert path.path.names == {"blob.path"}
        assert isinstance(http.source, HttpSource)
        assert http.source == HttpSource(
            body_names=frozenset({"day"}), query_names=frozenset({"q"})
        )
        assert http.values.parameters["n"] == 4
        assert http.values.parameters["input_string"] == Template(text="sample_string3")
        assert http.pipeline.scope == "https://management.azure.com/.default"
        assert http.pipeline.endpoint == ENDPOINT
        assert config.workspace == WorkspaceId(
            subscription="s", resource_group="g", name="w", region="westeurope"
        )

    def test_a_schedule_with_all_there_is(self, load: Load) -> None:
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
        source = load(with_trigger(body)).triggers["t"].source
        assert isinstance(source, ScheduleSource)
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
        source = load(with_trigger(daily(hours))).triggers["t"].source
        assert isinstance(source, ScheduleSource)
        assert isinstance(source.schedule.rule, Recurrence)
        assert list(source.schedule.rule.times) == expected

    def test_maps_merge_by_name_and_the_trigger_wins(self, load: Load) -> None:
        pipeline = """\
parameters: {a: 1, b: "2"}
tags: {team: blue, kind: x}
properties: {p: q}
datasets: {w: saved-id, v: {datastore: other, path: x}}
data_paths: {in: {datastore: other, path: "{{ trigger.name }}"}}
description: from the pipeline
run_source: Functions
run_type: HTTP
continue_on_step_failure: true
"""
        body = """\
schedule: {cron: 30 6 * * mon-fri, run_at_start: true}
experiment: "E-{{ schedule.time | date }}"
parameters: {b: true}
tags: {kind: y}
datasets: {w: {name: weights, version: "3"}}
run_type: Schedule
continue_on_step_failure: false
"""
        config = load(with_trigger(body, pipeline=pipeline))
        trigger = config.triggers["t"]
        values = trigger.values
        assert values.experiment.names == {"schedule.time"}
        assert values.parameters == {"a": 1, "b": True}
        assert values.tags == {"team": Template(text="blue"), "kind": Template(text="y")}
        assert values.properties == {"p": "q"}
        assert values.datasets == {
            "w": DatasetReferenceTemplate(
                name=Template(text="weights"), version=Template(text="3")
            ),
            "v": DataPathTemplate(datastore="other", path=Template(text="x")),
        }
        assert values.description == Template(text="from the pipeline")
        assert (values.run_source, values.run_type) == ("Functions", "Schedule")
        assert values.continue_on_step_failure is False
        assert isinstance(trigger.source, ScheduleSource)
        assert trigger.source.schedule.rule == Cron("30 6 * * MON-FRI")
        assert trigger.source.schedule.run_at_start

    def test_a_pipelines_text_path_lies_in_each_blob_triggers_own_datastore(
        self, load: Load
    ) -> None:
        config = load(
            with_trigger("blob: {datastore: ds}", pipeline='data_paths: {in: "{{ blob.path }}"}')
            + "  u:\n    pipeline: scoring\n    blob: {datastore: other}\n"
            + "  v:\n    pipeline: scoring\n    http: {}\n"
            + "    data_paths: {in: {datastore: ds, path: x}}\n"
        )
        stores = [one.values.data_paths["in"].datastore for one in config.triggers.values()]
        assert stores == ["ds", "other", "ds"]

    def test_run_source_is_sdk_unless_somebody_says_otherwise(self, load: Load) -> None:
        assert load(with_trigger("http: {}")).triggers["t"].values.run_source == "SDK"

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
    def test_the_news_of_blobs_come_as_trigger_or_setting_say(
        self, load: Load, said: str, setting: str | None, delivery: BlobDelivery
    ) -> None:
        settings = {} if setting is None else {"BLOB_SOURCE": setting}
        source = (
            load(with_trigger(f"blob: {{datastore: ds{said}}}"), **settings).triggers["t"].source
        )
        assert isinstance(source, BlobSource)
        assert source.delivery is delivery

    @pytest.mark.parametrize(
        ("text", "start"),
        [
            ("beginning", Start.BEGINNING),
            ("2027-03-27T03:30:00+02:00", datetime(2027, 3, 27, 1, 30, tzinfo=UTC)),
        ],
    )
    def test_a_blob_trigger_starts_where_it_says(
        self, load: Load, text: str, start: object
    ) -> None:
        source = load(with_trigger(f"blob: {{datastore: ds, start: {text}}}")).triggers["t"].source
        assert isinstance(source, BlobSource)
        assert source.start == start

    @pytest.mark.parametrize(
        ("workspace", "scope"),
        [
            ("", "https://management.azure.com/.default"),
            ("workspace: {cloud: china}\n", "https://management.chinacloudapi.cn/.default"),
            ("workspace: {cloud: usgov, region: r}\n", "https://management.usgovcloudapi.net/.default"),
        ],
    )  # fmt: skip
    def test_the_scope_is_that_of_the_cloud(self, load: Load, workspace: str, scope: str) -> None:
        config = load(workspace + with_trigger("http: {}"))
        assert config.pipelines["scoring"].scope == scope
        assert config.workspace.name == "w"

    def test_a_pipelines_own_scope_wins(self, load: Load) -> None:
        config = load(with_trigger("http: {}", pipeline="scope: https://ml.azure.com/.default"))
        assert config.pipelines["scoring"].scope == "https://ml.azure.com/.default"

    def test_a_national_endpoint_tells_the_cloud(self, load: Load) -> None:
        endpoint = ENDPOINT.replace("api.azureml.ms", "api.ml.azure.cn")
        config = load(with_trigger("http: {}"), SCORING_ENDPOINT=endpoint)
        assert config.workspace.cloud == "china"
        assert config.pipelines["scoring"].scope == "https://management.chinacloudapi.cn/.default"

    def test_no_triggers_are_allowed(self, load: Load) -> None:
        assert load(f"{HEAD}{PIPELINES}triggers: {{}}\n").triggers == {}


class TestSettings:
    def test_a_setting_is_taken_first_and_once(self, load: Load) -> None:
        text = with_trigger(
            'http: {}\nparameters: {a: "${NESTED}", b: "$${DATE}", c: "x${DATE}${EMPTY}y", d: "$$"}'
        )
        values = load(text).triggers["t"].values.parameters
        assert values == {
            "a": Template(text="${DATE} $${DATE}"),
            "b": Template(text="${DATE}"),
            "c": Template(text="x2027-01-01y"),
            "d": Template(text="$$"),
        }

    def test_a_missing_setting_is_named_with_the_nearest(self, mistakes: Mistakes) -> None:
        text = with_trigger("http: {}").replace("${SCORING_ENDPOINT}", "${SCORNG_ENDPOINT}")
        assert only(mistakes(text)) == (
            "pipelines.scoring.endpoint: the app setting SCORNG_ENDPOINT does not exist "
            "(did you mean SCORING_ENDPOINT?); add it to the app's settings "
            "(on a laptop: local.settings.json)"
        )

    @pytest.mark.parametrize("text", ["${}", "${A B}", "${A", "a ${ b"])
    def test_what_is_no_setting_is_told(self, mistakes: Mistakes, text: str) -> None:
        problems = mistakes(with_trigger(f'http: {{}}\ntags: {{a: "{text}"}}'))
        assert only(problems) == (
            "triggers.t.tags.a: ${ begins the name of an app setting, such as "
            "${SCORING_ENDPOINT}; for a literal ${ write $${"
        )

    @pytest.mark.parametrize(
        "line",
        [
            'parameters: {x: "a ${STORAGE_KEY}"}',
            'data_paths: {x: {datastore: ds, path: "${STORAGE_KEY}"}}',
            'datasets: {x: "${storage_key}"}',
            'tags: {x: "${MY_SECRET}"}',
            'properties: {x: "${ADMINPASSWORD}"}',
            'description: "${ApiToken}"',
            'experiment: "${Storage__Connection}"',
        ],
    )
    def test_secrets_are_never_sent_to_azure_ml(self, mistakes: Mistakes, line: str) -> None:
        for text in (with_trigger(f"http: {{}}\n{line}"), with_trigger("http: {}", pipeline=line)):
            problems = mistakes(text.replace("    experiment: E\n", ""))
            assert any("looks like a secret" in one.message for one in problems)
            assert all("hush-hush" not in one.message for one in problems)

    def test_the_refusal_says_which_and_why(self, mistakes: Mistakes) -> None:
        problems = mistakes(with_trigger('http: {}\nparameters: {x: "${STORAGE_KEY}"}'))
        assert only(problems) == (
            "triggers.t.parameters.x: the setting STORAGE_KEY looks like a secret, and Azure ML "
            "shows this value in the studio; names that end in KEY, SECRET, PASSWORD, TOKEN, "
            "CONNECTION are refused here"
        )

    @pytest.mark.parametrize(
        "text",
        [
            with_trigger("http: {}").replace("container: data", "container: ${STORAGE_KEY}!"),
            with_trigger("blob: {datastore: ds, path: '/${STORAGE_KEY}'}"),
            with_trigger("blob: {datastore: '${STORAGE_KEY}'}"),
            with_trigger("http: {}").replace("pipeline: scoring", "pipeline: ${STORAGE_KEY}"),
            with_trigger("http: {}").replace("${SCORING_ENDPOINT}", "${STORAGE_KEY}"),
            with_trigger('http: {}\nparameters: {x: "${SECRET_TEMPLATE}"}'),
            with_trigger('http: {}\nrun_type: "${STORAGE_KEY}"'),
            with_trigger('schedule: {cron: "${STORAGE_KEY}"}'),
            with_trigger('schedule: {frequency: day, interval: "${STORAGE_KEY}"}'),
        ],
    )
    def test_the_value_of_a_setting_is_never_repeated(self, mistakes: Mistakes, text: str) -> None:
        problems = mistakes(text)
        assert "hush" not in "".join(f"{one.where} {one.message}" for one in problems)

    def test_an_unknown_source_of_blobs_is_refused(self, mistakes: Mistakes) -> None:
        problems = mistakes(with_trigger("http: {}"), BLOB_SOURCE="hush")
        assert only(problems) == (
            "app setting BLOB_SOURCE: its value is not known; allowed: event_grid, polling"
        )


MISTAKES = [
    (
        "http: {}\nparameters: {a: 1.10}",
        "triggers.t.parameters.a: found 1.10, which is a number and would be sent as 1.1; "
        'put it in quotes: "1.10"',
    ),
    *[
        (f"http: {{}}\nparameters: {{a: {number}}}", f"found {number}, which is a number and would be")
        for number in ("0123", "1e3", "+5", ".5", "0x1F", "0o17", ".inf", "-.inf", ".nan", "1.", "9" * 20 + ".5")
    ],
    (
        "http: {}\nparameters: {a: }",
        "triggers.t.parameters.a: there is no value; give one, or remove the key",
    ),
    (
        "http: {}\nparameters: {a: [1]}",
        "triggers.t.parameters.a: found a list; a parameter is text, a number, true or false",
    ),
    (
        "http: {}\nparameters: {a: {b: 1}}",
        "triggers.t.parameters.a: found a map; a parameter is text, a number, true or false",
    ),
    ("http: {}\nparameters: text", "triggers.t.parameters: found text; a map is needed (key: value)"),
    (
        "http: {}\nexperiment: 5",
        "triggers.t.experiment: found 5; text is needed, so put it in quotes",
    ),
    ("http: {}\nexperiment: ''", 'triggers.t.experiment: found ""; it may not be empty'),
    (
        "http: {}\ncontinue_on_step_failure: yes",
        "triggers.t.continue_on_step_failure: found yes; true or false is needed, without quotes",
    ),
    (
        "http: {}\nrun_type: Http",
        "triggers.t.run_type: found Http; allowed: HTTP, SDK, Schedule, Portal",
    ),
    (
        "http: {}\nparametres: {}",
        "triggers.t.parametres: the key parametres is not known (did you mean parameters?); "
        "allowed are experiment, parameters, data_paths, datasets, tags, properties, "
        "description, run_source, run_type, continue_on_step_failure, pipeline, schedule, "
        "blob, http",
    ),
    (
        "http: {}\ntags: {submission: x}",
        "triggers.t.tags.submission: the name submission is taken: the app writes its own key "
        "there; use another name",
    ),
    ("http: {}\nproperties: {Submission: x}", "triggers.t.properties.Submission: the name Sub"),
    (
        'http: {}\nproperties: {a: "{{ trigger.name }}"}',
        "triggers.t.properties.a: found {{ trigger.name }}; properties are no templates; use tags",
    ),
    (
        "http: {}\ndata_paths: {in: x}",
        "triggers.t.data_paths.in: text is a path in a blob trigger's own datastore, and this "
        "trigger starts from http; write {datastore: …, path: …} here",
    ),
    (
        "http: {}\ndata_paths: {in: {datastore: othr, path: x}}",
        "triggers.t.data_paths.in.datastore: found othr; there is no such datastore "
        "(did you mean other?); declared under datastores: ds, other",
    ),
    (
        "http: {}\ndata_paths: {in: {datastore: ds}}",
        "triggers.t.data_paths.in.path: this key is missing and needed. Path below the "
        "datastore's container, raw. A template.",
    ),
    (
        "http: {}\ndata_paths: {in: 5}",
        "triggers.t.data_paths.in: found 5; a data path is text or {datastore: …, path: …}",
    ),
    (
        'http: {}\ndatasets: {w: {version: "1"}}',
        "triggers.t.datasets.w: found a map; a registered dataset needs its name or its id",
    ),
    (
        "http: {}\ndatasets: {w: {name: a, version: 3}}",
        "triggers.t.datasets.w.version: found 3; text is needed, so put it in quotes",
    ),
    ("http: {}\ndatasets: {w: [a]}", "triggers.t.datasets.w: found a list; a dataset is the id"),
    (
        "http: {}\nparameters: {a: '{{ blob.path }}'}",
        "triggers.t.parameters.a: found {{ blob.path }}; blob.path does not exist for an http "
        "trigger; it has trigger.name, event.time, http.body.*, http.query.*",
    ),
    ("http: {}\ntags: {a: '{{ http.query.code }}'}", "carries a function key"),
    ("http: {}\ntags: {a: '{{ http.body.data_paths }}'}", "has a meaning of its own"),
    ("http: {allow_experiments: true}", "(did you mean allow_experiment?)"),
    ("", "triggers.t: a trigger has exactly one of schedule, blob, http; this one has none"),
    (
        "http: {}\nblob: {datastore: ds}",
        "triggers.t: a trigger has exactly one of schedule, blob, http; "
        "this one has blob and http",
    ),
    ("schedule: {}", "triggers.t.schedule: found a map; a schedule has either frequency"),
    ("schedule: {frequency: day, cron: 0 0 * * *}", "a schedule has either frequency"),
    ("schedule: {cron: 0 0 * * *, interval: 2}", "interval goes with frequency, not with cron"),
    (
        "schedule: {frequency: year}",
        "triggers.t.schedule.frequency: found year; allowed: minute, hour, day, week, month",
    ),
    (
        "schedule: {frequency: day, interval: 0}",
        "triggers.t.schedule.interval: found 0; at least 1 is allowed",
    ),
    ("schedule: {frequency: day, interval: 100001}", "found 100001; at most 100000 is allowed"),
    ("schedule: {frequency: day, interval: '5'}", "found 5; a whole number is needed, without"),
    ("schedule: {frequency: day, interval: 1.5}", "found 1.5; a whole number is needed"),
    ("schedule: {cron: 0 0 30 2 *}", "triggers.t.schedule.cron: found 0 0 30 2 *; the expression"),
    ("schedule:", "triggers.t.schedule: there is no value; give one, or remove the key"),
    *SCHEDULES,
    (
        "blob: {datastore: ds, include: '*.csv'}",
        'triggers.t.blob.include: found *.csv; a list is needed, in square brackets',
    ),
    (
        "blob: {datastore: ds, include: ['*.a', '**.csv']}",
        "triggers.t.blob.include[1]: found **.csv; ** stands alone between slashes: "
        "write **/*.csv",
    ),
    (
        "blob: {datastore: ds, include: ['sub/*.csv']}",
        "triggers.t.blob.include[0]: found sub/*.csv; it names a sub-folder and recursive is "
        "off, so nothing can match; write recursive: true",
    ),
    ("blob: {datastore: ds, include: [1]}", "triggers.t.blob.include[0]: found 1; text is needed"),
    (
        "blob: {datastore: ds, source: poll}",
        "triggers.t.blob.source: found poll (did you mean polling?); "
        "allowed: event_grid, polling",
    ),
    (
        "blob: {path: x}",
        "triggers.t.blob.datastore: this key is missing and needed. Name of a datastore under "
        "`datastores`.",
    ),
    ("blob: {datastore: ds, path: '{name}'}", "triggers.t.blob.path: found {name}; path may not"),
]  # fmt: skip


class TestMistakes:
    @pytest.mark.parametrize(("body", "message"), MISTAKES)
    def test_a_mistake_of_a_trigger(self, mistakes: Mistakes, body: str, message: str) -> None:
        assert message in only(mistakes(with_trigger(body)))

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            (
                "pipeline: scoring",
                "pipeline: scorin",
                "triggers.t.pipeline: found scorin; there is no such pipeline "
                "(did you mean scoring?); declared under pipelines: scoring",
            ),
            ("    pipeline: scoring\n", "", "triggers.t.pipeline: this key is missing and needed."),
            (
                "kind: published_pipeline",
                "kind: batch_endpoint",
                "pipelines.scoring.kind: found batch_endpoint; allowed: published_pipeline",
            ),
            (
                "    experiment: E\n",
                "",
                "triggers.t.experiment: neither the trigger nor pipelines.scoring names an "
                "experiment; add experiment to one of them",
            ),
            (
                "  t:\n",
                "  T_1:\n",
                "triggers.T_1: found T_1; a name has 1 to 63 of a-z, 0-9 and -, and begins with "
                "a letter; write for example new-data",
            ),
            (
                "datastores:",
                "datastore:",
                "datastore: the key datastore is not known (did you mean datastores?); "
                "allowed are workspace, datastores, pipelines, triggers",
            ),
            (
                "container: other",
                "container: Other",
                "datastores.other.container: found Other; a container's name has",
            ),
            (
                "connection: OtherStorage",
                "connection: DefaultEndpointsProtocol=https;AccountKey=hush",
                "datastores.other.connection: found a value that is not shown, because it looks "
                "like a secret; a connection is the name of an app setting",
            ),
            ("  t:\n", "  s:\n  t:\n", "triggers.s: there is no value; give one, or remove"),
            ("  t:\n", "  s: x\n  t:\n", "triggers.s: found x; a map is needed (key: value)"),
        ],
    )
    def test_a_mistake_elsewhere(
        self, mistakes: Mistakes, old: str, new: str, message: str
    ) -> None:
        text = with_trigger("http: {}")
        assert old in text
        problems = mistakes(text.replace(old, new, 1))
        assert message in only(problems)

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("- x", "the file: a map is needed, with at least pipelines and triggers"),
            ("text", "the file: a map is needed, with at least pipelines and triggers"),
            ("a: [", "the file: not YAML: "),
            ("", "the file: the file is empty; it needs at least pipelines and triggers"),
        ],
    )
    def test_what_is_no_triggers_file(self, mistakes: Mistakes, text: str, message: str) -> None:
        problem = mistakes(text)[0]
        assert f"{problem.where}: {problem.message}".startswith(message)

    def test_a_template_of_a_pipeline_is_wrong_where_it_stands(self, mistakes: Mistakes) -> None:
        text = with_trigger("http: {}", pipeline='parameters: {a: "{{ blob.path }}"}')
        (problem,) = mistakes(text)
        assert (problem.where, problem.line) == ("pipelines.scoring.parameters.a", 9)
        assert problem.message == (
            "found {{ blob.path }}; for the trigger t, blob.path does not exist for an http "
            "trigger; it has trigger.name, event.time, http.body.*, http.query.*; "
            "override it in the trigger"
        )

    def test_an_overridden_template_of_a_pipeline_is_no_mistake(self, load: Load) -> None:
        body = "http: {}\nparameters: {a: plain}"
        load(with_trigger(body, pipeline='parameters: {a: "{{ blob.path }}"}'))

    def test_a_pipelines_text_path_is_a_mistake_of_the_trigger_without_blobs(
        self, mistakes: Mistakes
    ) -> None:
        problems = mistakes(with_trigger("http: {}", pipeline="data_paths: {in: x}"))
        assert only(problems) == (
            "triggers.t.data_paths.in: text, which pipelines.scoring gives, is a path in a blob "
            "trigger's own datastore, and this trigger starts from http; "
            "write {datastore: …, path: …} here"
        )

    def test_a_pipeline_that_nothing_starts_is_checked_too(self, mistakes: Mistakes) -> None:
        unused = (
            "  unused:\n    kind: published_pipeline\n    endpoint: ${SCORING_ENDPOINT}\n"
            '    parameters: {a: "{{ blob.path }}", b: "{{ blob.pth }}", c: "{{ http.body.x }}"}\n'
            '    data_paths: {p: "{{ blob.path }}"}\n'
        )
        text = with_trigger("http: {}").replace("triggers:\n", f"{unused}triggers:\n")
        assert only(mistakes(text)).startswith(
            "pipelines.unused.parameters.b: found {{ blob.pth }}"
        )

    def test_all_mistakes_are_reported_together_in_the_files_order(self, load: Load) -> None:
        text = """\
workspace: {cloud: mars}
datastores:
  ds: {connection: DataStorage, container: Data}
pipelines:
  scoring: {kind: pipeline, endpoint: "http://x.com/", experiment: E, tags: {submission: a}}
triggers:
  one: {pipeline: scorin, schedule: {frequency: years, interval: 0}, parameters: {a: 1.10}}
  two: {pipeline: scoring, blob: {datastore: dss}, tags: {a: "{{ blob.pth }}"}, extra: 1}
  two: {pipeline: scoring, http: {}}
"""
        with pytest.raises(FileError) as caught:
            load(text)
        places = [(one.line, one.column, one.where) for one in caught.value.problems]
        assert places == [
            (1, 20, "workspace.cloud"),
            (3, 44, "datastores.ds.container"),
            (5, 19, "pipelines.scoring.kind"),
            (5, 39, "pipelines.scoring.endpoint"),
            (5, 78, "pipelines.scoring.tags.submission"),
            (7, 19, "triggers.one.pipeline"),
            (7, 49, "triggers.one.schedule.frequency"),
            (7, 66, "triggers.one.schedule.interval"),
            (7, 86, "triggers.one.parameters.a"),
            (8, 46, "triggers.two.blob.datastore"),
            (8, 62, "triggers.two.tags.a"),
            (8, 81, "triggers.two.extra"),
            (9, 3, "triggers.two"),
        ]
        first = str(caught.value).splitlines()[:2]
        file = caught.value.file
        assert first == [
            f"{file}: 13 mistakes found; no function starts.",
            f"  {file}:1:20: workspace.cloud: found mars; allowed: public, china, usgov",
        ]

    def test_a_missing_file_says_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(FileError) as caught:
            load_config(tmp_path / "none.yaml", settings={})
        assert caught.value.problems[0].message == (
            "the file cannot be read: No such file or directory; TRIGGERS_FILE says where it is"
        )

    def test_a_huge_file_is_refused_before_it_is_read(self, tmp_path: Path) -> None:
        file = tmp_path / "triggers.yaml"
        file.write_bytes(b"#" * (MAX_BYTES + 1))
        with pytest.raises(FileError, match="at most 1048576 are allowed"):
            load_config(file, settings={})


def many(count: int) -> str:
    triggers = "".join(
        f"  t{number}:\n    pipeline: scoring\n"
        f"    blob: {{datastore: ds, path: in/{number}, include: ['*.csv']}}\n"
        f'    parameters: {{n: {number}, day: "{{{{ blob.last_modified | date }}}}"}}\n'
        f'    data_paths: {{in: "{{{{ blob.path }}}}", out: "out/{number}/{{{{ blob.name }}}}"}}\n'
        for number in range(count)
    )
    return f"{HEAD}{PIPELINES}    tags: {{by: '{{{{ trigger.name | upper }}}}'}}\ntriggers:\n{triggers}"


def test_a_thousand_triggers_parse_equal_texts_once(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shared.config.templates.syntax as syntax
    import shared.config.templates.template as templates

    parsed: list[str] = []
    find = syntax.find_names

    def counted(text: str) -> frozenset[tuple[str, ...]]:
        parsed.append(text)
        return find(text)

    monkeypatch.setattr(syntax, "find_names", counted)
    templates._names.cache_clear()
    assert len(load(many(1000)).triggers) == 1000
    assert sorted(parsed) == ["{{ blob.last_modified | date }}", "{{ trigger.name | upper }}"]


def test_a_file_of_plain_names_is_loaded_without_jinja2(tmp_path: Path) -> None:
    file = tmp_path / "triggers.yaml"
    file.write_text(with_trigger("blob: {datastore: ds}\ndata_paths: {in: '{{ blob.path }}'}"))
    code = (
        "import sys\nfrom pathlib import Path\nfrom shared.config.load import load_config\n"
        f"load_config(Path({str(file)!r}), settings={SETTINGS!r})\n"
        "sys.exit('jinja2' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


MODELS = (TriggerEntry, PipelineEntry, BlobEntry, ScheduleEntry, DatasetEntry)
KEYS = st.sampled_from(
    [
        *[key for model in MODELS for key in model.key_names()],
        *("x", "submission", ""),
    ]
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.floats(), st.text(max_size=3))
    | st.sampled_from(["ds", "scoring", "now", "{{ blob.path }}", "{{ x", "${DATE}", "${NO}"])
    | st.sampled_from(["*.csv", "**/a", "day", "0 0 * * *", "published_pipeline", ENDPOINT]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
ENTRIES = st.dictionaries(KEYS, VALUES, max_size=6)


@settings(max_examples=300, deadline=None)
@given(ENTRIES, ENTRIES, ENTRIES, VALUES)
def test_whatever_a_file_holds_it_is_loaded_or_all_is_told(
    datastore: object, pipeline: object, trigger: object, anything: object
) -> None:
    content = {
        "workspace": anything,
        "datastores": {"ds": datastore},
        "pipelines": {"scoring": pipeline},
        "triggers": {"t": trigger, "u": anything},
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "triggers.yaml"
        file.write_text(yaml.safe_dump(content, allow_unicode=True), encoding="utf-8")
        try:
            load_config(file, settings=SETTINGS)
        except FileError as error:
            problems = error.problems
        else:
            problems = ()
    assert len({(one.where, one.line, one.column) for one in problems}) == len(problems)
    assert all(one.message for one in problems)
