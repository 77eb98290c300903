"""The runs of the workspace stand-in, in the formats of Azure ML's services."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum, StrEnum
from typing import Any


class RunStatus(Enum):
    """The status of a run: its name and number on the pipelines service, and its name in run history."""

    NOT_STARTED = ("NotStarted", 0, "NotStarted")
    """The run was created."""
    RUNNING = ("Running", 1, "Running")
    """The run has started."""
    FAILED = ("Failed", 2, "Failed")
    """The run ended with an error."""
    FINISHED = ("Finished", 3, "Completed")
    """The run succeeded."""
    CANCELED = ("Canceled", 4, "Canceled")
    """The run was canceled."""

    @property
    def is_final(self) -> bool:
        """Whether the status can no longer change."""
        return self in {RunStatus.FAILED, RunStatus.FINISHED, RunStatus.CANCELED}

    @classmethod
    def named(cls, name: str) -> RunStatus:
        """Return the status that has this name on the pipelines service.

        Raises:
            ValueError: There is no such status.
        """
        for status in cls:
            if status.value[0] == name:
                return status
        raise ValueError(f"{name!r} is not one of {', '.join(status.value[0] for status in cls)}")


class EnumStyle(StrEnum):
    """The format of enums. The pipelines service is changing from numbers to names, and both occur."""

    NAME = "name"
    """Names, such as "Running"."""
    NUMBER = "number"
    """Numbers, such as 1."""
    NUMERIC_STRING = "numeric_string"
    """Numbers as text, such as "1"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """When runs change their status, counted from their creation."""

    running: timedelta = timedelta(seconds=2)
    """The time until a run is Running."""
    final: timedelta = timedelta(seconds=6)
    """The time until a run has its final status."""


@dataclass(slots=True, kw_only=True)
class StoredRun:
    """A run as the stand-in stores it."""

    number: int
    """The run's number in the workspace, from 1."""
    pipeline_id: str
    """The published pipeline."""
    body: dict[str, Any]
    """The body of the submit request, as it was sent."""
    created: datetime
    """When the run was created."""
    parent_run_id: str | None = None
    """The `parentRunId` of the submit request."""
    outcome: RunStatus = RunStatus.FINISHED
    """The final status that the run will get."""
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """The run's id."""
    status: RunStatus = RunStatus.NOT_STARTED
    """The current status."""
    started: datetime | None = None
    """When the run started, or None if it has not."""
    ended: datetime | None = None
    """When the run ended, or None if it has not."""

    @property
    def experiment(self) -> str:
        """The experiment of the run."""
        return str(self.body["ExperimentName"])

    @property
    def tags(self) -> dict[str, str]:
        """The tags of the run."""
        return dict(self.body.get("tags", {}))

    @property
    def properties(self) -> dict[str, str]:
        """The properties of the submit request, and those that Azure ML adds."""
        own = {"azureml.runsource": "azureml.PipelineRun", "azureml.pipelineid": self.pipeline_id}
        return {**self.body.get("Properties", {}), **own}

    def to_entity(self, style: EnumStyle = EnumStyle.NAME) -> dict[str, Any]:
        """Return the run in the format of the pipelines service: PipelineRunEntity, PascalCase."""
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
        """Return the run in the format of run history: RunDto, camelCase."""
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
    """All runs of the workspace. Thread-safe.

    Args:
        clock: Returns the current time (timezone-aware).
        progress: Changes the status of runs with time. None leaves that to `advance`.
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
        """Store a new run and return it."""
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
        """Return a run, or None if there is none."""
        with self._lock:
            run = self._runs.get(run_id)
            if run is not None:
                self._settle(run)
            return run

    def all(self) -> list[StoredRun]:
        """Return all runs, oldest first."""
        return self._settled(lambda: self._runs.values())

    def of_experiment(self, experiment: str) -> list[StoredRun]:
        """Return the runs of an experiment, oldest first."""
        return self._settled(lambda: self._by_experiment.get(experiment, ()))

    def of_pipeline(self, pipeline_id: str) -> list[StoredRun]:
        """Return the runs of a pipeline, oldest first."""
        return self._settled(lambda: self._by_pipeline.get(pipeline_id, ()))

    def clear(self) -> None:
        """Remove all runs."""
        with self._lock:
            self._runs.clear()
            self._by_experiment.clear()
            self._by_pipeline.clear()

    def advance(self, run_id: str | None = None, *, to: RunStatus | None = None) -> None:
        """Move runs that are not final to their next status: Running, then their outcome.

        Args:
            run_id: The run. None means all runs.
            to: Move straight to this status instead.

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
