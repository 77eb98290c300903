"""The kinds of pipelines that the app can start. A kind is one object without I/O.

A kind checks an endpoint, builds the requests, and reads the answers. `clients.workspace` sends the requests. No module
outside this package knows a kind's URLs or bodies.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from shared.core.outcomes import Outcome, ServiceAnswer, ServiceRequest
from shared.core.runs import RunFacts, RunList
from shared.pipelines.published_pipeline import PublishedPipeline
from shared.pipelines.values import RunValues


class PipelineKind(Protocol):
    """The requests and answers of one kind of pipeline."""

    name: str
    """The value of `kind` in the triggers file."""

    def check_endpoint(self, url: str) -> None:
        """Check that a URL is an endpoint of this kind.

        Raises:
            ValueError: It is not. The message never repeats the URL, which may come from a setting.
        """
        ...

    def default_scope(self, cloud: str) -> str:
        """Return the token scope in a cloud (a key of `workspaces.CLOUDS`)."""
        ...

    def build_body(self, values: RunValues, *, correlation_id: str) -> bytes:
        """Return the body that starts a run, as UTF-8 JSON.

        Args:
            values: The values of the run.
            correlation_id: The submission's correlation id, by which a search finds the run.

        Raises:
            RenderError: A value cannot be sent.
            BodyTooLarge: The ledger cannot hold the body.
        """
        ...

    def submit_request(self, endpoint: str, body: bytes) -> ServiceRequest:
        """Return the request that starts a run."""
        ...

    def read_outcome(
        self, answer: ServiceAnswer, *, identity: str, scope: str, now: Callable[[], datetime]
    ) -> Outcome:
        """Return the outcome of `submit_request` from its answer.

        Args:
            answer: The whole answer.
            identity: The identity that called, for messages about roles.
            scope: The scope of the token that was sent.
            now: Returns the current time (timezone-aware), for a `Retry-After` that is a date.
        """
        ...

    def search_request(
        self, endpoint: str, *, experiment: str, correlation_ids: Sequence[str]
    ) -> ServiceRequest | None:
        """Return one query for the runs with one of some correlation ids, or None if the endpoint offers no query."""
        ...

    def list_request(self, endpoint: str) -> ServiceRequest:
        """Return the request for the pipeline's own list of runs."""
        ...

    def keep_runs(self, chunks: Iterable[bytes], correlation_ids: Collection[str]) -> bytes:
        """Return the body of an answer to `list_request` without the runs that have none of these correlation ids.

        Raises:
            ValueError: The body is not a list of runs of a bounded size.
        """
        ...

    def status_request(self, endpoint: str, run_id: str) -> ServiceRequest:
        """Return the request for a run's status."""
        ...

    def cancel_request(self, endpoint: str, run_id: str) -> ServiceRequest:
        """Return the request that cancels a run."""
        ...

    def read_run(self, answer: ServiceAnswer) -> RunFacts | None:
        """Return the run that an answer to `status_request` shows, or None if it shows none."""
        ...

    def read_runs(self, answer: ServiceAnswer) -> RunList | None:
        """Return the runs that an answer to a search or a list shows, or None if it is no list of runs.

        An experiment that does not exist has none.
        """
        ...


KINDS: Mapping[str, PipelineKind] = {kind.name: kind for kind in (PublishedPipeline(),)}
"""Every kind, by its name in the triggers file."""
