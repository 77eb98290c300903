"""The durable record that an event, matched by a trigger, must start a run.

Everything here is a value: `engine.accept` makes it, `core.transitions` moves it on, `ledger` stores it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from shared.core.events import Event
from shared.core.outcomes import OutcomeKind

LEASE = timedelta(minutes=10)
"""How long a claim belongs to the process that made it: far above the POST's deadline of two minutes."""

MAX_CLAIM_AGE = timedelta(seconds=60)
"""A POST is not sent later than this after its claim, so that lease and POST can never overlap."""

POST_DEADLINE = timedelta(minutes=2)
"""When a POST has ended, one way or the other, counted from its start (`shared.clients.transport.DEADLINE`)."""

KEPT_ATTEMPTS = 20
KEPT_DECISIONS = 20


class State(StrEnum):
    """Where a submission stands."""

    SUBMITTING = "submitting"
    """Claimed: the process that holds the lease is sending it."""
    PENDING = "pending"
    """Certainly not started; to be sent again when it is due."""
    UNKNOWN = "unknown"
    """The answer was lost: a run may or may not have been started."""
    SUBMITTED = "submitted"
    """A run was started."""
    FINISHED = "finished"
    """The run has ended; `run_status` says how."""
    HELD = "held"
    """A person must decide."""
    DEAD = "dead"
    """Given up: no run was started, and none will be."""
    SKIPPED = "skipped"
    """Matched, but a policy or a person stopped it; `reason` says why."""


OPEN = frozenset({State.SUBMITTING, State.PENDING, State.UNKNOWN, State.SUBMITTED})
"""The tick has something to do with these, so each has a `due:` row."""

ATTENTION = frozenset({State.DEAD, State.HELD})


class OnUnknown(StrEnum):
    """What happens when the answer to a POST was lost."""

    SEARCH = "search"
    """The run is looked for, and sent again only when a search that sees its neighbours does not find it."""
    HOLD = "hold"
    """A person decides."""
    RESEND = "resend"
    """It is sent again at once: for pipelines that may run twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a trigger wants when things go wrong.

    Attributes:
        give_up_after: How long a submission that certainly was not started is tried again.
        on_unknown: What happens when an answer was lost.
    """

    give_up_after: timedelta = timedelta(hours=24)
    on_unknown: OnUnknown = OnUnknown.SEARCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One POST and what became of it.

    Attributes:
        time: When its outcome was known.
        generation: The submission's generation at the time.
        outcome: What is known.
        run_id: The run it started.
        status: The HTTP status.
        code: The service's own error code.
        message: What happened, for a person.
        request_id: The `x-ms-client-request-id`.
        service_request_id: The service's own id.
    """

    time: datetime
    generation: int
    outcome: OutcomeKind
    run_id: str | None = None
    status: int | None = None
    code: str | None = None
    message: str | None = None
    request_id: str | None = None
    service_request_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What somebody asked for.

    Attributes:
        time: When.
        action: `submit`, `run_now`, `replay`, `drop` or `cancel`.
        by: The caller's name, where roles are on; else nobody knows it.
    """

    time: datetime
    action: str
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """An event that must start a run.

    Attributes:
        id: The event's id.
        trigger: The trigger's name.
        pipeline: The pipeline's name in the file.
        kind: The pipeline's kind at the time.
        place: A digest of the pipeline's endpoint: the row never holds a URL that something could be sent to.
        event: What happened.
        body: The rendered POST body, UTF-8 JSON; None when it could not be rendered.
        created: When it was claimed.
        updated: When it was last changed.
        state: Where it stands.
        reason: Why it is `pending`, `unknown`, `held`, `dead` or `skipped`.
        generation: 1 at first; a replay raises it.
        since: When this generation was claimed; `created` for the first.
        unknown_since: When an answer of this generation was lost for the last time.
        post_deadline: When the POST whose answer was lost has certainly ended.
        looks: Searches since then that could have seen the run, and did not.
        lag: The age of the newest known run when one of these searches saw it, the least of them: what a run may be old
            before a search shows it; None when none has been seen.
        due: When the tick has something to do with it; None when never.
        attempts: The last 20 POSTs, oldest first.
        run_id: Azure ML's id of the run.
        run_status: The run's last known status.
        duplicates: Runs that were started besides `run_id`.
        decisions: The last 20 things that people asked for, oldest first.
        capability: A random text: who knows it may ask how the submission stands. None in rows of before 0.2.
        etag: The row's version when it was read or written; empty before.
        due_key: The exact key of its `due:` row; None when there is none.
    """

    id: str
    trigger: str
    pipeline: str
    kind: str
    endpoint_digest: str
    event: Event
    body: bytes | None
    created: datetime
    updated: datetime
    state: State = State.SUBMITTING
    reason: str | None = None
    generation: int = 1
    since: datetime | None = None
    unknown_since: datetime | None = None
    post_deadline: datetime | None = None
    conclusive_searches: int = 0
    lag: timedelta | None = None
    due: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    run_id: str | None = None
    run_status: str | None = None
    duplicates: tuple[str, ...] = ()
    decisions: tuple[Decision, ...] = ()
    status_token: str | None = field(default=None, repr=False)
    etag: str = field(default="", compare=False, repr=False)
    due_key: str | None = field(default=None, compare=False, repr=False)

    @property
    def correlation_id(self) -> str:
        """What the run carries in `tags.submission` and `Properties.submission`."""
        return correlation_id(self.id, self.generation)

    @property
    def started_trying(self) -> datetime:
        """When this generation was claimed."""
        return self.since or self.created

    @property
    def may_have_run(self) -> bool:
        """Whether a run may exist that nobody has found: an answer of this generation was lost."""
        return self.unknown_since is not None and self.run_id is None

    @property
    def experiment(self) -> str:
        """The experiment of the rendered body; empty when there is no body."""
        return str(json.loads(self.body).get("ExperimentName", "")) if self.body else ""


def correlation_id(submission_id: str, generation: int) -> str:
    """Return what a run is stamped with: letters, digits and hyphens only, as run-history filters need."""
    return f"{submission_id}-{generation}"
