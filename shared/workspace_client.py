"""The workspace, as the two verbs see it: a body goes in, an outcome comes out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from shared.answers import read_answer, read_failure
from shared.config import Pipeline
from shared.errors import CallError, TokenUnavailable
from shared.identity import Tokens
from shared.outcomes import Outcome
from shared.transport import Transport


class WorkspaceClient:
    """Starts runs.

    Args:
        transport: Makes the calls.
        tokens: The identity that the calls are made with, for messages about it.
        now: Says the time; aware.
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
        """POST a body to a pipeline, once, and say what became of it.

        Nothing that a network, a service or an identity does makes it raise: that is what the outcome is for.
        """
        try:
            answer = self._transport.send(
                "POST", pipeline.endpoint, scope=pipeline.scope, body=body
            )
        except (CallError, TokenUnavailable) as error:
            return read_failure(error)
        return read_answer(
            answer, identity=self._tokens.describe(), scope=pipeline.scope, now=self._now
        )

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()
