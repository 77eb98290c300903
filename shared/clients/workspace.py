"""The workspace, as the two verbs see it: a body goes in, an outcome comes out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Protocol

from shared.clients.identity import Tokens
from shared.clients.transport import Transport
from shared.config.model import Pipeline
from shared.core.errors import CallError, TokenUnavailable, WorkspaceUnavailable
from shared.core.outcomes import Outcome, ServiceAnswer, ServiceRequest
from shared.core.runs import RunFacts, RunGone, SearchResult
from shared.pipelines.answers import read_failure
from shared.pipelines.kinds import KINDS
from shared.pipelines.service_json import error_of, load_json

READ_DEADLINE = timedelta(seconds=30)
"""For everything but the POST that starts a run: it can be asked again."""


class Workspace(Protocol):
    """What the verbs need of Azure ML; `WorkspaceClient` says what each does and raises."""

    def submit(self, pipeline: Pipeline, body: bytes) -> Outcome:
        """Start a run."""
        ...

    def status(self, pipeline: Pipeline, run_id: str) -> RunFacts:
        """Return how a run stands."""
        ...

    def search(
        self, pipeline: Pipeline, *, experiment: str, correlation_id: str, reference: str | None
    ) -> SearchResult:
        """Search for runs."""
        ...

    def cancel(self, pipeline: Pipeline, run_id: str) -> None:
        """Cancel a run."""
        ...


class WorkspaceClient:
    """Sends the requests of a pipeline's kind, and returns what their answers mean.

    Args:
        transport: Makes the calls.
        tokens: The identity that the calls are made with, for messages about it.
        now: Returns the current time (timezone-aware).
    """

    def __init__(
        self,
        transport: Transport,
        *,
        tokens: Tokens,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._transport = transport
        self._tokens = tokens
        self._now = now

    def submit(self, pipeline: Pipeline, body: bytes) -> Outcome:
        """Send a body to a pipeline, once, and return the outcome.

        No fault of a network, a service or an identity makes it raise: the outcome says it.
        """
        kind = KINDS[pipeline.kind]
        request = kind.submit_request(pipeline.endpoint, body)
        try:
            answer = self._transport.send(
                request.method, request.url, scope=pipeline.scope, body=request.body
            )
        except (CallError, TokenUnavailable) as error:
            return read_failure(error)
        return kind.read_outcome(
            answer, identity=self._tokens.describe(), scope=pipeline.scope, now=self._now
        )

    def status(self, pipeline: Pipeline, run_id: str) -> RunFacts:
        """Return a run with its status.

        Raises:
            RunGone: Azure ML does not know the run.
            WorkspaceUnavailable: It gave no usable answer.
        """
        kind = KINDS[pipeline.kind]
        answer = self._ask(kind.status_request(pipeline.endpoint, run_id), pipeline)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise RunGone(f"Azure ML does not know run {run_id}")
        run = kind.read_run(answer)
        if run is None or run.id != run_id:
            raise WorkspaceUnavailable(f"run {run_id}: {_refusal(answer)}")
        return run

    def search(
        self, pipeline: Pipeline, *, experiment: str, correlation_id: str, reference: str | None
    ) -> SearchResult:
        """Search for the runs that carry a stamp: in run history by its tag, then in the pipeline's own run list.

        Whatever does not answer as it must has seen nothing: the search does not count, and goes on.

        Args:
            pipeline: Where the run would have been started.
            experiment: The experiment it would be in.
            stamp: The submission's stamp.
            neighbour: The stamp of the newest run that we know of there; a search that does not see it does not
                count. None when there is none: then no search counts.
        """
        found = self._query(pipeline, experiment, correlation_id)
        if found:
            return SearchResult(runs=tuple(found))
        listed = self._list(pipeline, KINDS[pipeline.kind].list_request(pipeline.endpoint))
        by_stamp = [run for run in listed if run.correlation_id == correlation_id]
        if by_stamp:
            return SearchResult(runs=tuple(by_stamp))
        if reference is None:
            return SearchResult()
        seen = any(run.correlation_id == reference for run in listed)
        return SearchResult(
            saw_reference=seen or bool(self._query(pipeline, experiment, reference))
        )

    def cancel(self, pipeline: Pipeline, run_id: str) -> None:
        """Cancel a run.

        Raises:
            RunGone: Azure ML does not know the run.
            WorkspaceUnavailable: It did not confirm.
        """
        request = KINDS[pipeline.kind].cancel_request(pipeline.endpoint, run_id)
        answer = self._ask(request, pipeline)
        if answer.status == HTTPStatus.NOT_FOUND:
            raise RunGone(f"Azure ML does not know run {run_id}")
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise WorkspaceUnavailable(f"run {run_id} could not be cancelled: {_refusal(answer)}")

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def _query(self, pipeline: Pipeline, experiment: str, correlation_id: str) -> list[RunFacts]:
        """Return the runs that run history shows with a stamp."""
        kind = KINDS[pipeline.kind]
        request = kind.search_request(
            pipeline.endpoint, experiment=experiment, correlation_id=correlation_id
        )
        runs = self._list(pipeline, request) if request is not None else []
        return [run for run in runs if run.correlation_id == correlation_id]

    def _list(self, pipeline: Pipeline, request: ServiceRequest) -> Sequence[RunFacts]:
        try:
            answer = self._ask(request, pipeline)
        except WorkspaceUnavailable:
            return []  # the transport has logged the call; a search that saw nothing does not count
        return KINDS[pipeline.kind].read_runs(answer) or []

    def _ask(self, request: ServiceRequest, pipeline: Pipeline) -> ServiceAnswer:
        try:
            return self._transport.send(
                request.method,
                request.url,
                scope=pipeline.scope,
                body=request.body,
                deadline=READ_DEADLINE,
            )
        except (CallError, TokenUnavailable) as error:
            raise WorkspaceUnavailable(read_failure(error).message or "no answer") from error


def _refusal(answer: ServiceAnswer) -> str:
    code, message = error_of(load_json(answer.content))
    said = ": ".join(part for part in (code, message) if part)
    return f"Azure ML answered {answer.status}" + (f" ({said})" if said else "")
