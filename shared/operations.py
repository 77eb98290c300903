"""What people and scripts can do, whoever asks: the entry points, the HTTP API and the command line call these."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.accepting import Accepting, BlobNotice, Ignored
from shared.config import Config, Trigger
from shared.errors import NotFound
from shared.events import Event
from shared.ledger import Ledger, Tick
from shared.sending import Sending
from shared.submissions import Submission
from shared.workspace_client import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """The operations of one app.

    Attributes:
        config: Today's file.
        ledger: The store of submissions.
        accepting: The first verb.
        sending: The second verb.
        workspace: Azure ML, for what people ask of runs.
        clock: Says the time; aware.
    """

    config: Config
    ledger: Ledger
    accepting: Accepting
    sending: Sending
    workspace: Workspace
    clock: Callable[[], datetime]

    def start(self, news: Event | BlobNotice) -> Submission | Ignored:
        """Take an event the whole way: accept, then send.

        Raises:
            Unavailable: The event is not safe: fail, so that it is delivered again.
            RequestError: A request cannot become an event.
        """
        accepted = self.accepting.accept(news)
        return accepted if isinstance(accepted, Ignored) else self.sending.send(accepted)

    def trigger(self, name: str) -> Trigger:
        """Return a trigger of the file.

        Raises:
            NotFound: There is none of that name.
        """
        if name not in self.config.triggers:
            raise NotFound("there is no trigger of that name in the triggers file")
        return self.config.triggers[name]

    def submission(self, submission_id: str) -> Submission:
        """Return a submission, whatever its state.

        Raises:
            NotFound: There is none with that id.
            LedgerUnavailable: The ledger did not answer.
            LedgerError: Its row cannot be understood.
        """
        found = self.ledger.get(submission_id) if submission_id.isalnum() else None
        if found is None:
            raise NotFound("there is no submission with that id")
        return found

    def last_tick(self) -> Tick:
        """Return how far the ticks came: proof that the ledger answers.

        Raises:
            LedgerUnavailable: It does not.
        """
        return self.ledger.tick()
