"""Loading a whole file: what it becomes, and how all of its problems are reported."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.config.load import MAX_BYTES, load_config
from shared.config.model import BlobDelivery, BlobSource, HttpSource, ScheduleSource, Start
from shared.config.path_rule import PathRule
from shared.config.schema.file import BlobEntry, PipelineEntry, TriggerEntry
from shared.config.schema.schedule import ScheduleEntry
from shared.config.schema.values import DatasetEntry
from shared.config.templates.template import Template
from shared.core.errors import FileError
from shared.pipelines.workspaces import WorkspaceId
from shared.schedules.recurrence import Frequency, Recurrence
from tests.unit.config.files import (
    ENDPOINT,
    HEAD,
    PIPELINES,
    SETTINGS,
    Load,
    ProblemsOf,
    only,
    with_trigger,
)


def test_a_file_with_all_sources(load: Load) -> None:
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
    assert http.source == HttpSource(body_names=frozenset({"day"}), query_names=frozenset({"q"}))
    assert http.values.parameters["n"] == 4
    assert http.values.parameters["input_string"] == Template(text="sample_string3")
    assert http.pipeline.scope == "https://management.azure.com/.default"
    assert http.pipeline.endpoint == ENDPOINT
    assert config.workspace == WorkspaceId(
        subscription="s", resource_group="g", name="w", region="westeurope"
    )


def test_no_triggers_are_allowed(load: Load) -> None:
    assert load(f"{HEAD}{PIPELINES}triggers: {{}}\n").triggers == {}


def test_an_unknown_blob_source_is_refused_without_its_value(problems_of: ProblemsOf) -> None:
    problems = problems_of(with_trigger("http: {}"), BLOB_SOURCE="hush")
    assert only(problems) == (
        "app setting BLOB_SOURCE: its value is not known; allowed: event_grid, polling"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- x", "the file: a map is needed, with at least pipelines and triggers"),
        ("text", "the file: a map is needed, with at least pipelines and triggers"),
        ("a: [", "the file: not YAML: "),
        ("", "the file: the file is empty; it needs at least pipelines and triggers"),
    ],
)
def test_a_text_that_is_not_a_triggers_file_is_refused(
    problems_of: ProblemsOf, text: str, message: str
) -> None:
    problem = problems_of(text)[0]
    assert f"{problem.where}: {problem.message}".startswith(message)


def test_all_problems_are_reported_together_in_the_files_order(load: Load) -> None:
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
    positions = [(one.line, one.column, one.where) for one in caught.value.problems]
    assert positions == [
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
    assert re.fullmatch(rf"{re.escape(file)}: 13 \w+ found; no function starts\.", first[0])
    assert first[1] == f"  {file}:1:20: workspace.cloud: found mars; allowed: public, china, usgov"


def test_a_missing_file_says_how_to_name_it(tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        load_config(tmp_path / "none.yaml", settings={})
    assert caught.value.problems[0].message == (
        "the file cannot be read: No such file or directory; TRIGGERS_FILE must hold its path"
    )


def test_a_huge_file_is_refused_before_it_is_parsed(tmp_path: Path) -> None:
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


@pytest.mark.parametrize("module", ["jinja2", "difflib"])
def test_a_file_of_plain_names_is_loaded_without_slow_imports(tmp_path: Path, module: str) -> None:
    file = tmp_path / "triggers.yaml"
    file.write_text(with_trigger("blob: {datastore: ds}\ndata_paths: {in: '{{ blob.path }}'}"))
    code = (
        "import sys\nfrom pathlib import Path\nfrom shared.config.load import load_config\n"
        f"load_config(Path({str(file)!r}), settings={SETTINGS!r})\n"
        f"sys.exit({module!r} in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


MODELS = (TriggerEntry, PipelineEntry, BlobEntry, ScheduleEntry, DatasetEntry)
KEYS = st.sampled_from(
    [
        *[key for model in MODELS for key in model.key_names()],
        *("x", "submission", "", "[key]"),
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
def test_any_file_is_loaded_or_each_problem_is_reported_once(
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
