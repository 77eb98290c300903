"""Views: triggers, submissions and runs as callers see them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.pipelines.workspaces import WorkspaceId
from shared.web.api.models import SubmissionLine, SubmissionView
from shared.web.api.views import starts_from, view_line, view_submission
from tests.unit.web.calls import REFUSED, SOURCES, MakeBench, post


@pytest.mark.parametrize(
    ("cloud", "host"),
    [("public", "ml.azure.com"), ("china", "studio.ml.azure.cn"), ("usgov", "ml.azure.us")],
)
def test_a_run_has_its_page_in_the_studio_of_its_cloud(cloud: str, host: str) -> None:
    workspace = WorkspaceId(subscription="s", resource_group="g h", name="w", cloud=cloud)
    assert workspace.studio_url("run/1") == (
        f"https://{host}/runs/run%2F1?wsid=/subscriptions/s/resourcegroups/g%20h/workspaces/w"
    )
    assert replace(workspace, name=None).studio_url("run-1") is None


def test_the_source_of_each_trigger_is_one_line(make_bench: MakeBench) -> None:
    triggers = make_bench(SOURCES).config.triggers
    assert {name: starts_from(trigger) for name, trigger in triggers.items()} == {
        "on-demand": "http POST /api/v1/triggers/on-demand/submissions",
        "strict": "http POST /api/v1/triggers/strict/submissions",
        "nightly": "schedule every 1 day",
        "new-data": "blob data/incoming *.csv",
    }


def test_a_blob_trigger_on_a_whole_container_has_no_slash_at_its_end(make_bench: MakeBench) -> None:
    bench = make_bench("all: {pipeline: scoring, blob: {datastore: lake}}")
    assert starts_from(bench.config.triggers["all"]) == "blob data"


def test_a_submission_without_a_run_has_every_key(make_bench: MakeBench) -> None:
    bench = make_bench(SOURCES)
    bench.workspace.outcomes = [REFUSED]
    post(bench)
    (one,) = bench.submissions()
    shown = view_submission(one, bench.config.workspace)
    assert set(shown) == set(SubmissionView.model_fields)
    assert (shown["run"], shown["state"], shown["event"]["source"]) == (None, "dead", "http")
    line = view_line(one, bench.config.workspace).model_dump(mode="json")
    assert line == {name: shown[name] for name in SubmissionLine.model_fields}
