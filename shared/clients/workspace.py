"""Azure ML as the engine sees it: start, search, poll and cancel runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Protocol

from shared.clients.identity import Tokens
from shared.clients.transport import BodyReader, Transport
from shared.config.model import Pipeline
from shared.core.errors import CallError, TokenUnavailable, WorkspaceUnavailable
from shared.core.outcomes import Outcome, ServiceAnswer, ServiceRequest
from shared.core.runs import ReferenceRun, RunFacts, RunGone, SearchResult
from shared.pipelines.answers import describe_failure, read_failure
from shared.pipelines.kinds import KINDS
from shared.pipelines.service_json import error_of, load_json

READ_DEADLINE = timedelta(seconds=30)
"""Of each call except the POST that starts a run. These calls can be repeated."""

MAX_DOUBT = 400
"""Characters of the reason why a search is not conclusive."""


class Workspace(Protocol):
    """The operations on runs that the app needs. `WorkspaceClient` documents each, and calls Azure ML."""

    def submit(self, pipeline: Pipeline, body: bytes) -> Outcome:
        """See `WorkspaceClient.submit`."""
        ...

    def status(self, pipeline: Pipeline, run_id: str) -> RunFacts:
        """See `WorkspaceClient.status`."""
        ...

    def search(
        self,
        pipeline: Pipeline,
        *,
        experiment: str,
        correlation_id: str,
        reference: str | None,
        newer: ReferenceRun | None = None,
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
        self,
        pipeline: Pipeline,
        *,
        experiment: str,
        correlation_id: str,
        reference: str | None,
        newer: ReferenceRun | None = None,
    ) -> SearchResult:
        """Search for the runs that carry a correlation id, in run history and in the pipeline's own list of runs.

        Each of the two is asked once for the run and the reference run together. Its answer can rule the run out only
        if it proves itself: it is complete, and it shows the reference run. All other answers show nothing.

        Args:
            pipeline: The pipeline that would have started the run.
            experiment: The experiment that the run would be in.
            correlation_id: The submission's correlation id.
            reference: The correlation id of the newest known run of the experiment. None: no run of it is known.
            newer: A run of the same workspace that started after the POST had ended. If run history shows it, what run
                history answers next is current. None: no such run is known.
        """
        own = [correlation_id] if reference is None else [correlation_id, reference]
        others = [] if newer is None else [newer.correlation_id]
        is_current = newer is not None and self._shows(pipeline, newer)
        history = self._query(pipeline, experiment, own)
        if correlation_id in history.ids:
            return SearchResult(runs=history.of(correlation_id))
        listed = self._list(pipeline, own + others)
        if correlation_id in listed.ids:
            return SearchResult(runs=listed.of(correlation_id))
        saw_reference = reference in history.proves | listed.proves
        saw_newer = (is_current and history.complete) or not listed.proves.isdisjoint(others)
        return SearchResult(
            saw_reference=saw_reference,
            saw_newer=saw_newer,
            inconclusive=None if saw_reference or saw_newer else _doubt(history, listed),
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

    def _shows(self, pipeline: Pipeline, run: ReferenceRun) -> bool:
        """Return whether run history shows a run."""
        answer = self._query(pipeline, run.experiment, [run.correlation_id])
        return run.correlation_id in answer.ids

    def _query(
        self, pipeline: Pipeline, experiment: str, correlation_ids: Sequence[str]
    ) -> _Answer:
        """Ask run history for the runs of an experiment that carry one of some correlation ids."""
        request = KINDS[pipeline.kind].search_request(
            pipeline.endpoint, experiment=experiment, correlation_ids=correlation_ids
        )
        if request is None:
            return _Answer(problem="the endpoint does not name its workspace")
        return self._ask_runs(pipeline, request)

    def _list(self, pipeline: Pipeline, correlation_ids: Sequence[str]) -> _Answer:
        """Read the pipeline's own list of runs, and keep those that carry one of some correlation ids."""
        kind = KINDS[pipeline.kind]
        return self._ask_runs(
            pipeline,
            kind.list_request(pipeline.endpoint),
            read=partial(kind.keep_runs, correlation_ids=correlation_ids),
        )

    def _ask_runs(
        self, pipeline: Pipeline, request: ServiceRequest, *, read: BodyReader | None = None
    ) -> _Answer:
        try:
            answer = self._ask(request, pipeline, read=read)
        except WorkspaceUnavailable as error:
            return _Answer(problem=str(error))
        found = KINDS[pipeline.kind].read_runs(answer)
        if found is None:
            return _Answer(problem=_refusal(answer))
        return _Answer(
            runs=found.runs, problem=None if found.complete else "its answer is not complete"
        )

    def _ask(
        self, request: ServiceRequest, pipeline: Pipeline, *, read: BodyReader | None = None
    ) -> ServiceAnswer:
        try:
            return self._transport.send(
                request.method,
                request.url,
                scope=pipeline.scope,
                body=request.body,
                deadline=READ_DEADLINE,
                read=read,
            )
        except (CallError, TokenUnavailable) as error:
            raise WorkspaceUnavailable(describe_failure(error)) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What a source answered about some runs."""

    runs: Sequence[RunFacts] = ()
    """The runs that it showed."""
    problem: str | None = None
    """Why it may not have shown all of them. None: the answer is complete."""

    @property
    def complete(self) -> bool:
        """Whether the source showed all runs that it knows of."""
        return self.problem is None

    @property
    def ids(self) -> frozenset[str | None]:
        """The correlation ids of the runs that it showed."""
        return frozenset(run.correlation_id for run in self.runs)

    @property
    def proves(self) -> frozenset[str | None]:
        """The correlation ids of the shown runs if the answer is complete: it would have shown any other run, too."""
        return self.ids - {None} if self.complete else frozenset()

    def of(self, correlation_id: str) -> tuple[RunFacts, ...]:
        """Return the runs with a correlation id."""
        return tuple(run for run in self.runs if run.correlation_id == correlation_id)


def _doubt(history: _Answer, listed: _Answer) -> str:
    """Return why neither source can rule a run out, in a few words."""
    unseen = "shows no run that is known to exist"
    said = f"run history: {history.problem or unseen}; the run list: {listed.problem or unseen}"
    return said[:MAX_DOUBT]


def _refusal(answer: ServiceAnswer) -> str:
    code, message = error_of(load_json(answer.content))
    reason = ": ".join(part for part in (code, message) if part)
    return f"Azure ML answered {answer.status}" + (f" ({reason})" if reason else "")
