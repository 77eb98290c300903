"""What a run is started with, rendered and complete, before a pipeline kind puts it on the wire."""

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
"""Status words of both services: the pipelines service says `Finished`, run history `Completed`
(azureml-pipeline-core 1.62.0, `run.py`; azure-ai-ml 1.35.2, `JobStatus`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFacts:
    """A run as Azure ML shows it.

    Attributes:
        id: The run's id.
        status: Its status word; of both services, or one that nobody documented.
        created: When it was made, as far as it was told.
        error: Why it failed, when it did.
        stamp: The submission's stamp that it carries, when it was told.
    """

    id: str
    status: str = "NotStarted"
    created: datetime | None = None
    error: str | None = None
    correlation_id: str | None = None

    @property
    def final(self) -> bool:
        """Whether it has ended."""
        return self.status in SUCCEEDED | FAILED

    @property
    def known(self) -> bool:
        """Whether its status word is documented."""
        return self.final or self.status in UNFINISHED


class RunGone(Exception):
    """Azure ML does not know a run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """A search for a submission's run.

    Attributes:
        runs: Those that carry its stamp.
        sees_newest: Whether it saw the newest run that we know of; if not, finding nothing proves nothing.
    """

    runs: tuple[RunFacts, ...] = ()
    saw_reference: bool = False
