"""The kinds of pipelines that can be started. A kind is one object without I/O.

It checks an endpoint, builds the requests, and reads the answers. `clients.workspace` sends the requests; nothing
outside this package knows a kind's URLs or bodies.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from shared.core.outcomes import Outcome, ServiceAnswer, ServiceRequest
from shared.core.runs import RunFacts
from shared.pipelines.published_pipeline import PublishedPipeline
from shared.pipelines.values import RunValues


class PipelineKind(Protocol):
    """What the app needs to know about a kind of pipeline."""

    name: str
    """The value of `kind` in the triggers file."""

    def check_endpoint(self, url: str) -> None:
        """Check the endpoint of such a pipeline.

        Raises:
            ValueError: It is none. The message never repeats the URL, which may come from a setting.
        """
        ...

    def default_scope(self, cloud: str) -> str:
        """Return the token scope in a cloud (a key of `workspaces.CLOUDS`)."""
        ...

    def build_body(self, values: RunValues, *, correlation_id: str) -> bytes:
        """Return the body that starts a run, as UTF-8 JSON.

        Raises:
            RenderError: A value cannot be sent.
        """
        ...

    def submit_request(self, endpoint: str, body: bytes) -> ServiceRequest:
        """Return the request that starts a run."""
        ...

    def read_outcome(
        self, answer: ServiceAnswer, *, identity: str, scope: str, now: Callable[[], datetime]
    ) -> Outcome:
        """Return what an answer to `submit_request` means.

        Args:
            answer: The whole answer.
            identity: The identity that called, for messages about roles.
            scope: The scope of the token that was sent.
            now: Returns the current time (timezone-aware), for a `Retry-After` that is a date.
        """
        ...

    def search_request(
        self, endpoint: str, *, experiment: str, correlation_id: str
    ) -> ServiceRequest | None:
        """Return the query for runs with a correlation id; None if the endpoint does not allow one."""
        ...

    def list_request(self, endpoint: str) -> ServiceRequest:
        """Return the request for the pipeline's own list of runs."""
        ...

    def status_request(self, endpoint: str, run_id: str) -> ServiceRequest:
        """Return the request for a run's status."""
        ...

    def cancel_request(self, endpoint: str, run_id: str) -> ServiceRequest:
        """Return the request that cancels a run."""
        ...

    def read_run(self, answer: ServiceAnswer) -> RunFacts | None:
        """Return the run that an answer to `status_request` shows, or None."""
        ...

    def read_runs(self, answer: ServiceAnswer) -> Sequence[RunFacts] | None:
        """Return the runs that an answer to a search or a list shows, or None if it is not such a list."""
        ...


KINDS: Mapping[str, PipelineKind] = {kind.name: kind for kind in (PublishedPipeline(),)}
"""Every kind, by its name in the triggers file."""
