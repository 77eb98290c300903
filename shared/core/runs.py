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
    """The submission's correlation id in the run's tags or properties, if the answer has it."""

    @property
    def final(self) -> bool:
        """Whether the run has ended."""
        return self.status in SUCCEEDED | FAILED

    @property
    def known(self) -> bool:
        """Whether the status word is documented."""
        return self.final or self.status in UNFINISHED


class RunGone(Exception):
    """Azure ML does not know the run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """The result of a search for a submission's run."""

    runs: tuple[RunFacts, ...] = ()
    """The runs that carry its correlation id."""
    saw_reference: bool = False
    """Whether the search showed the reference run. If not, a search that finds nothing is not conclusive."""
