"""Runs as Azure ML shows them, and searches for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

SUCCEEDED = frozenset({"Finished", "Completed"})
FAILED = frozenset({"Failed", "Canceled"})
UNFINISHED = frozenset(
    {
        *("NotStarted", "Starting", "Provisioning", "Preparing", "Queued", "Running"),
        *("Finalizing", "CancelRequested", "NotResponding", "Paused", "Unknown"),
    }
)
"""The status words of runs that have not ended.

Two services name a status in two ways: the pipelines service says `Finished`, run history `Completed`
(azureml-pipeline-core 1.62.0, `run.py`; azure-ai-ml 1.35.2, `JobStatus`).
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A run as Azure ML shows it."""

    id: str
    """The run's id."""
    status: str = "NotStarted"
    """The run's status word. It may be one that Azure ML does not document."""
    created: datetime | None = None
    """When the run was created, if the answer says it."""
    error: str | None = None
    """Why the run failed, if the answer says it."""
    correlation_id: str | None = None
    """The submission's correlation id in the run's properties or tags, if the answer has it."""

    @property
    def final(self) -> bool:
        """Whether the run has ended."""
        return is_final(self.status)

    @property
    def known(self) -> bool:
        """Whether the status word is documented."""
        return is_documented(self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunList:
    """The runs that an answer lists."""

    runs: tuple[RunFacts, ...] = ()
    """Those that could be read, without child runs."""
    complete: bool = True
    """Whether there are no others: no further page, and none that could not be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceRun:
    """A known run that a search must show before it can rule out another one."""

    correlation_id: str
    """Its correlation id."""
    experiment: str
    """Its experiment."""
    started: datetime
    """When it was created at the earliest."""


class RunGone(Exception):
    """Azure ML does not know the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The result of a search for a submission's run."""

    runs: tuple[RunFacts, ...] = ()
    """The runs that carry its correlation id."""
    saw_reference: bool = False
    """Whether an answer that would have shown its run showed the reference run."""
    saw_newer: bool = False
    """Whether a run that started after the lost POST had ended was shown, before or with an answer about its run."""
    inconclusive: str | None = None
    """Why the search saw neither, in a few words."""


def is_final(status: str | None) -> bool:
    """Return whether a run with this status word has ended."""
    return status in SUCCEEDED or status in FAILED


def is_documented(status: str) -> bool:
    """Return whether a status word is documented."""
    return is_final(status) or status in UNFINISHED
