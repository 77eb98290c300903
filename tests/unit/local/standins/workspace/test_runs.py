"""The runs of the workspace stand-in: they advance by steps or by the clock."""

from __future__ import annotations

from datetime import timedelta

from local.standins.workspace.runs import EnumStyle, Progress, RunStatus
from local.standins.workspace.server import PIPELINE_ID, SCOPE_PATH, WorkspaceStandIn
from local.testing.app import Clock
from local.testing.workspace_caller import BODY, WorkspaceCaller


def test_runs_advance_by_steps(caller: WorkspaceCaller, clock: Clock) -> None:
    first, second = (caller.submit(BODY).json()["Id"] for _ in range(2))
    runs = caller.workspace.runs
    stored = runs.get(second)
    assert stored is not None
    stored.outcome = RunStatus.FAILED
    path = f"/pipelines/v1.0{SCOPE_PATH}/PipelineRuns/"
    runs.advance()
    assert caller.get(path + first).json()["Status"]["StatusCode"] == "Running"
    clock.advance(minutes=1)
    runs.advance()
    assert caller.get(path + first).json()["Status"]["StatusCode"] == "Finished"
    assert caller.get(path + second).json()["Status"]["StatusCode"] == "Failed"
    history = caller.get(f"/history/v1.0{SCOPE_PATH}/runs/{first}").json()
    assert (history["status"], history["endTimeUtc"]) == ("Completed", "2027-03-27T12:01:00Z")
    assert caller.get(path + "nothing").status_code == 404
    missing = caller.get(f"/history/v1.0{SCOPE_PATH}/runs/nothing")
    assert missing.json()["error"]["message"] == "There is no run nothing"


def test_runs_advance_with_time_if_there_is_a_progress(clock: Clock) -> None:
    with WorkspaceStandIn(
        secret=b"s",
        clock=clock.now,
        progress=Progress(running=timedelta(seconds=2), final=timedelta(seconds=6)),
        enum_style=EnumStyle.NUMERIC_STRING,
    ) as workspace:
        run = workspace.runs.add(PIPELINE_ID, BODY)
        seen = []
        for _ in range(4):
            found = workspace.runs.get(run.id)
            assert found is not None
            seen.append(found.to_entity(EnumStyle.NUMERIC_STRING)["Status"]["StatusCode"])
            clock.advance(seconds=2)
        assert seen == ["0", "1", "1", "3"]
        assert run.ended == run.created + timedelta(seconds=6)


def test_a_cancelled_run_stays_cancelled(caller: WorkspaceCaller) -> None:
    run = caller.submit(BODY).json()["Id"]
    url = f"{caller.workspace.url}/pipelines/v1.0{SCOPE_PATH}/PipelineRuns/{run}/Execution"
    assert caller.session.delete(url, headers=caller.headers, timeout=10).status_code == 200
    caller.workspace.runs.advance()
    assert caller.workspace.runs.all()[0].status is RunStatus.CANCELED
