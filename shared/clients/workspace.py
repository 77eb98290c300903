"""Azure ML as the engine sees it: start, search, poll and cancel runs."""

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
from shared.pipelines.answers import describe_failure, read_failure
from shared.pipelines.kinds import KINDS
from shared.pipelines.service_json import error_of, load_json

READ_DEADLINE = timedelta(seconds=30)
"""Of each call except the POST that starts a run. These calls can be repeated."""


class Workspace(Protocol):
    """The operations on runs that the app needs. `WorkspaceClient` documents each, and calls Azure ML."""

    def submit(self, pipeline: Pipeline, body: bytes) -> Outcome:
        """See `WorkspaceClient.submit`."""
        ...

    def status(self, pipeline: Pipeline, run_id: str) -> RunFacts:
        """See `WorkspaceClient.status`."""
        ...

    def search(
        self, pipeline: Pipeline, *, experiment: str, correlation_id: str, reference: str | None
    ) -> SearchResult:
        """See `WorkspaceClient.search`."""
        ...

    def cancel(self, pipeline: Pipeline, run_id: str) -> None:
        """See `WorkspaceClient.cancel`."""
        ...


class WorkspaceClient:
    """A `Workspace` over HTTP. A pipeline's kind builds the requests and reads the answers.

    Args:
        transport: Sends the requests.
        tokens: The identity, which error messages name.
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

        If the network, Azure ML or the identity fails, the outcome says so. No error is raised.

        Args:
            pipeline: The pipeline to start.
            body: The body that its kind built.
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
            WorkspaceUnavailable: Azure ML gave no usable answer.
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
        """Search for the runs with a correlation id: in run history, then in the pipeline's own list of runs.

        A source that fails counts as empty: it shows neither the run nor the reference run.

        Args:
            pipeline: The pipeline that the submission was sent to.
            experiment: The experiment of the submission's run.
            correlation_id: The correlation id of the submission.
            reference: The correlation id of the reference run, the newest known run in the experiment. A search that
                finds no run is conclusive only if it sees this one. If it is None, no such search is conclusive.
        """
        found = self._query(pipeline, experiment, correlation_id)
        if found:
            return SearchResult(runs=tuple(found))
        # It is not documented when a submission's tags appear in run history.
        listed = self._list(pipeline, KINDS[pipeline.kind].list_request(pipeline.endpoint))
        found = [run for run in listed if run.correlation_id == correlation_id]
        if found:
            return SearchResult(runs=tuple(found))
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
            WorkspaceUnavailable: Azure ML did not confirm the cancellation.
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
        """Return the runs with a correlation id in run history."""
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
            return []  # the transport has logged the call; an empty list makes no search conclusive
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
            raise WorkspaceUnavailable(describe_failure(error)) from error


def _refusal(answer: ServiceAnswer) -> str:
    code, message = error_of(load_json(answer.content))
    reason = ": ".join(part for part in (code, message) if part)
    return f"Azure ML answered {answer.status}" + (f" ({reason})" if reason else "")
