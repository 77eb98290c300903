"""The durable record that an event, matched by a trigger, must start a run.

Everything here is a value: `engine.accept` makes it, `core.transitions` moves it on, `ledger` stores it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from shared.core.events import Event
from shared.core.leases import LEASE
from shared.core.outcomes import OutcomeKind

KEPT_ATTEMPTS = 20
KEPT_DECISIONS = 20


class State(StrEnum):
    """Where a submission stands."""

    SUBMITTING = "submitting"
    """Claimed: the process that holds the lease is sending it."""
    PENDING = "pending"
    """Definitely not started. It is sent again when it is due."""
    UNKNOWN = "unknown"
    """Ambiguous: the answer was lost, and a run may have started."""
    SUBMITTED = "submitted"
    """A run has started."""
    FINISHED = "finished"
    """The run has ended. `run_status` says how."""
    HELD = "held"
    """A person must decide."""
    DEAD = "dead"
    """Given up: no run has started, and none will."""
    SKIPPED = "skipped"
    """Matched, but a policy or a person stopped it. `reason` says why."""


OPEN = frozenset({State.SUBMITTING, State.PENDING, State.UNKNOWN, State.SUBMITTED})
"""States that the tick works on. Each submission in one of them has a `due:` row."""

ATTENTION = frozenset({State.DEAD, State.HELD})
"""States that need a person's attention."""


class OnUnknown(StrEnum):
    """What happens when the answer to a POST was lost."""

    SEARCH = "search"
    """The app searches for the run. It sends again only after conclusive searches have not found one."""
    HOLD = "hold"
    """A person decides."""
    RESEND = "resend"
    """The app sends again at once. This is for pipelines that may run twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a trigger wants if something fails."""

    give_up_after: timedelta = timedelta(hours=24)
    """How long the app retries a submission that was definitely not started."""
    on_unknown: OnUnknown = OnUnknown.SEARCH
    """What happens when the answer to a POST was lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One POST and its outcome."""

    time: datetime
    """When the outcome was known."""
    generation: int
    """The submission's generation at the time."""
    outcome: OutcomeKind
    """What is known after the POST."""
    run_id: str | None = None
    """The run that it started."""
    status: int | None = None
    """The HTTP status."""
    code: str | None = None
    """Azure ML's own error code."""
    message: str | None = None
    """What happened, for a person."""
    request_id: str | None = None
    """The `x-ms-client-request-id` that was sent."""
    service_request_id: str | None = None
    """Azure ML's own id of the request."""
    id: str = ""
    """The outcome's id. An outcome whose id is here is recorded already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Something that a person or a script asked for."""

    time: datetime
    """When."""
    action: str
    """`submit`, `run_now`, `replay`, `resume`, `drop` or `cancel`."""
    by: str | None = None
    """The caller's name, if roles are on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """An event that must start a run."""

    id: str
    """The event's deduplication key."""
    trigger: str
    """The trigger's name."""
    pipeline: str
    """The pipeline's name in the triggers file."""
    kind: str
    """The pipeline's kind at the time."""
    endpoint_digest: str
    """A digest of the pipeline's endpoint. The row never holds a URL that something could be sent to."""
    workspace_digest: str = ""
    """A digest of the workspace of that endpoint. Empty if the endpoint does not name its workspace."""
    event: Event
    """What happened."""
    body: bytes | None
    """The rendered body of the POST, UTF-8 JSON. None if it could not be rendered."""
    experiment: str = ""
    """The experiment of the rendered body. Empty if there is no body."""
    created: datetime
    """When it was claimed."""
    updated: datetime
    """When it was last changed."""
    state: State = State.SUBMITTING
    """Where it stands."""
    reason: str | None = None
    """Why it is `pending`, `unknown`, `held`, `dead` or `skipped`."""
    generation: int = 1
    """1 at first. Each replay raises it."""
    since: datetime | None = None
    """When this generation was claimed. None: at `created`."""
    lease_id: str = ""
    """A random text that names the current lease, or the last one. Each lease has another. Empty: there was none."""
    unknown_since: datetime | None = None
    """When an answer of this generation was last lost. None: none was, or a search has settled it."""
    unknown_cause: str | None = None
    """Why that answer was lost."""
    post_deadline: datetime | None = None
    """When the POST whose answer was lost has ended at the latest."""
    conclusive_searches: int = 0
    """Searches since then that would have shown the run, and did not."""
    lag: timedelta | None = None
    """The least age that the reference run had when one of these searches showed it.

    A run may be that old before a search shows it. None: no search has shown a reference run.
    """
    due: datetime | None = None
    """When the tick works on it next. None: never."""
    attempts: tuple[Attempt, ...] = ()
    """The last 20 POSTs, oldest first."""
    run_id: str | None = None
    """Azure ML's id of the run."""
    run_status: str | None = None
    """The run's last known status."""
    run_created: datetime | None = None
    """When the run was created at the earliest."""
    poll_since: datetime | None = None
    """When the app began to poll the run: when it learnt of the run, or when a person resumed the polling."""
    gone_since: datetime | None = None
    """Since when Azure ML has not known the run. None: it knew the run at the last poll."""
    duplicates: tuple[str, ...] = ()
    """Runs that were started besides `run_id`."""
    decisions: tuple[Decision, ...] = ()
    """The last 20 decisions of people, oldest first."""
    status_token: str | None = field(default=None, repr=False)
    """A random text. A caller that has it may read the submission's state without a key."""
    etag: str = field(default="", compare=False, repr=False)
    """The row's version when it was read or written. Empty before."""
    due_key: str | None = field(default=None, compare=False, repr=False)
    """The exact key of its `due:` row. None if there is none."""
    claimed_at: float | None = field(default=None, compare=False, repr=False)
    """When this process took the lease, in seconds of its monotonic clock. None: this process does not hold it."""

    @property
    def correlation_id(self) -> str:
        """What the run carries in `tags.submission` and `Properties.submission`."""
        return correlation_id(self.id, self.generation)

    @property
    def started_trying(self) -> datetime:
        """When this generation was claimed."""
        return self.since or self.created

    @property
    def lease_start(self) -> datetime | None:
        """When the current lease began. None: there is none."""
        if self.state is not State.SUBMITTING or self.due is None:
            return None
        return self.due - LEASE

    @property
    def may_have_run(self) -> bool:
        """Whether an unknown run may exist: an answer of this generation was lost, and no search has settled it."""
        return self.unknown_since is not None and self.run_id is None


def correlation_id(submission_id: str, generation: int) -> str:
    """Return what identifies a generation in Azure ML: letters, digits and hyphens, as run history's filters need."""
    return f"{submission_id}-{generation}"
