"""The runs of the workspace: kept, moved on, and shown as Azure ML's services show them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from typing import Any


class RunStatus(Enum):
    """How far a run is: name and number on the pipelines service, and name in run history."""

    NOT_STARTED = ("NotStarted", 0, "NotStarted")
    RUNNING = ("Running", 1, "Running")
    FAILED = ("Failed", 2, "Failed")
    FINISHED = ("Finished", 3, "Completed")
    CANCELED = ("Canceled", 4, "Canceled")

    @property
    def is_final(self) -> bool:
        """Whether it can still change."""
        return self in {RunStatus.FAILED, RunStatus.FINISHED, RunStatus.CANCELED}

    @classmethod
    def named(cls, name: str) -> RunStatus:
        """Find a status by the pipelines service's name of it.

        Raises:
            ValueError: There is none.
        """
        for status in cls:
            if status.value[0] == name:
                return status
        raise ValueError(f"{name!r} is not one of {', '.join(status.value[0] for status in cls)}")


class EnumStyle(StrEnum):
    """How the pipelines service writes enums: it moves from numbers to names; both are seen."""

    NAME = "name"
    NUMBER = "number"
    NUMERIC_STRING = "numeric_string"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Lets runs move on by the clock, counted from their creation.

    Attributes:
        running: After how long a run is Running.
        final: After how long it has its final status.
    """

    running: timedelta = timedelta(seconds=2)
    final: timedelta = timedelta(seconds=6)


@dataclass(slots=True, kw_only=True)
class StoredRun:
    """A run as the stand-in keeps it.

    Attributes:
        number: 1 for the first one.
        pipeline_id: What was started.
        body: The submit's body as it was sent.
        created: When.
        parent_run_id: The `parentRunId` of the submit.
        outcome: The final status it will get.
    """

    number: int
    pipeline_id: str
    body: dict[str, Any]
    created: datetime
    parent_run_id: str | None = None
    outcome: RunStatus = RunStatus.FINISHED
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: RunStatus = RunStatus.NOT_STARTED
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def experiment(self) -> str:
        """The experiment it went under."""
        return str(self.body["ExperimentName"])

    @property
    def tags(self) -> dict[str, str]:
        """Its tags."""
        return dict(self.body.get("tags", {}))

    @property
    def properties(self) -> dict[str, str]:
        """Its properties: the submit's, and those that Azure ML adds."""
        own = {"azureml.runsource": "azureml.PipelineRun", "azureml.pipelineid": self.pipeline_id}
        return {**self.body.get("Properties", {}), **own}

    def to_entity(self, style: EnumStyle = EnumStyle.NAME) -> dict[str, Any]:
        """Return it as the pipelines service shows it: PipelineRunEntity, PascalCase."""
        return {
            "Description": self.body.get("Description"),
            "Status": {
                "StatusCode": _enum(self.status.value[0], self.status.value[1], style),
                "StatusDetail": None,
                "CreationTime": _time(self.created),
                "EndTime": _time(self.ended),
            },
            "GraphId": str(uuid.uuid5(uuid.NAMESPACE_OID, self.pipeline_id)),
            "IsSubmitted": True,
            "HasErrors": self.status is RunStatus.FAILED,
            "HasWarnings": False,
            "UploadState": _enum("Completed", 0, style),
            "ParameterAssignments": self.body.get("ParameterAssignments", {}),
            "DataPathAssignments": self.body.get("DataPathAssignments", {}),
            "DataSetDefinitionValueAssignments": self.body.get(
                "DataSetDefinitionValueAssignments", {}
            ),
            "RunHistoryExperimentName": self.experiment,
            "PipelineId": self.pipeline_id,
            "RunSource": self.body.get("RunSource"),
            "RunType": self.body.get("RunType"),
            "TotalRunSteps": 1,
            "ScheduleId": self.body.get("ScheduleId"),
            "tags": self.tags,
            "Properties": self.properties,
            "EntityStatus": _enum("Active", 0, style),
            "Id": self.id,
            "Etag": f'"{uuid.uuid5(uuid.NAMESPACE_OID, self.id + self.status.name)}"',
            "CreatedDate": _time(self.created),
            "LastModifiedDate": _time(self.ended or self.started or self.created),
        }

    def to_dto(self) -> dict[str, Any]:
        """Return it as run history shows it: RunDto, camelCase."""
        failed = {"error": {"code": "UserError", "message": "a step failed"}}
        return {
            "runNumber": self.number,
            "rootRunId": self.id,
            "experimentId": str(uuid.uuid5(uuid.NAMESPACE_OID, self.experiment)),
            "createdUtc": _time(self.created),
            "runId": self.id,
            "parentRunId": self.parent_run_id,
            "status": self.status.value[2],
            "startTimeUtc": _time(self.started),
            "endTimeUtc": _time(self.ended),
            "displayName": self.id[:8],
            "description": self.body.get("Description"),
            "runType": "azureml.PipelineRun",
            "properties": self.properties,
            "tags": self.tags,
            "error": failed if self.status is RunStatus.FAILED else None,
            "warnings": None,
        }


class RunStore:
    """All runs, for any number of threads.

    Runs move on by the clock when there is a `progress`; in any case by `advance`.
    """

    def __init__(self, *, clock: Callable[[], datetime], progress: Progress | None = None) -> None:
        self._clock = clock
        self._progress = progress
        self._runs: dict[str, StoredRun] = {}
        self._by_experiment: dict[str, list[StoredRun]] = {}
        self._by_pipeline: dict[str, list[StoredRun]] = {}
        self._lock = threading.Lock()

    def add(
        self, pipeline_id: str, body: dict[str, Any], *, parent_run_id: str | None = None
    ) -> StoredRun:
        """Keep a new run."""
        with self._lock:
            run = StoredRun(
                number=len(self._runs) + 1,
                pipeline_id=pipeline_id,
                body=body,
                created=self._clock(),
                parent_run_id=parent_run_id,
            )
            self._runs[run.id] = run
            self._by_experiment.setdefault(run.experiment, []).append(run)
            self._by_pipeline.setdefault(pipeline_id, []).append(run)
            return run

    def get(self, run_id: str) -> StoredRun | None:
        """Find a run."""
        with self._lock:
            run = self._runs.get(run_id)
            if run is not None:
                self._settle(run)
            return run

    def all(self) -> list[StoredRun]:
        """Return all runs, the oldest first."""
        return self._settled(lambda: self._runs.values())

    def of_experiment(self, experiment: str) -> list[StoredRun]:
        """Return the runs of an experiment, the oldest first."""
        return self._settled(lambda: self._by_experiment.get(experiment, ()))

    def of_pipeline(self, pipeline_id: str) -> list[StoredRun]:
        """Return the runs of a pipeline, the oldest first."""
        return self._settled(lambda: self._by_pipeline.get(pipeline_id, ()))

    def clear(self) -> None:
        """Forget all runs."""
        with self._lock:
            self._runs.clear()
            self._by_experiment.clear()
            self._by_pipeline.clear()

    def advance(self, run_id: str | None = None, *, to: RunStatus | None = None) -> None:
        """Move one run, or all, one step on (Running, then its outcome), or straight to a status.

        Raises:
            KeyError: There is no such run.
        """
        with self._lock:
            for run in [self._runs[run_id]] if run_id else list(self._runs.values()):
                if not run.status.is_final:
                    step = run.outcome if run.status is RunStatus.RUNNING else RunStatus.RUNNING
                    self._move(run, to or step, self._clock())

    def _settled(self, find: Callable[[], Iterable[StoredRun]]) -> list[StoredRun]:
        with self._lock:
            runs = list(find())
            for run in runs:
                self._settle(run)
            return runs

    def _settle(self, run: StoredRun) -> None:
        if self._progress is None or run.status.is_final:
            return
        age = self._clock() - run.created
        if age >= self._progress.running and run.status is RunStatus.NOT_STARTED:
            self._move(run, RunStatus.RUNNING, run.created + self._progress.running)
        if age >= self._progress.final:
            self._move(run, run.outcome, run.created + self._progress.final)

    @staticmethod
    def _move(run: StoredRun, status: RunStatus, now: datetime) -> None:
        run.status = status
        if status is not RunStatus.NOT_STARTED and run.started is None:
            run.started = now
        if status.is_final:
            run.ended = now


def _enum(name: str, number: int, style: EnumStyle) -> str | int:
    if style is EnumStyle.NUMBER:
        return number
    return str(number) if style is EnumStyle.NUMERIC_STRING else name


def _time(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).isoformat().replace("+00:00", "Z")
