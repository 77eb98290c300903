"""Every error this app raises on purpose, drawn as a tree.

    TriggersError
    ├── FileError                the triggers file or a setting it needs is wrong: nothing starts
    ├── SettingError             an app setting is missing or cannot be used
    ├── RequestError             what a caller sent cannot become an event
    │   ├── NotFound             no trigger or submission has that name
    │   ├── WrongSource          the trigger starts from something else
    │   ├── NotSignedIn          nobody is signed in, where roles are on
    │   ├── MissingRole          who is signed in may not do this
    │   ├── NotAllowed           the submission stands where this cannot be done
    │   ├── InvalidRequest       the request's content is wrong; carries each problem
    │   ├── RequestTooLarge      the body is larger than the ledger can hold
    │   └── KeyReused            an Idempotency-Key came back with another body
    ├── RenderError              a trigger's values could not be made from an event
    │   ├── MissingValue         a template named something the event does not have
    │   └── BodyTooLarge         the run's values are more than the ledger can hold
    ├── CallError                a call to the workspace got no whole answer
    │   └── NotSent              it certainly never left this process
    ├── LedgerError              a row of the ledger cannot be understood: somebody edited it
    │   └── NewerRow             a newer version of the app wrote it
    └── Unavailable              something we depend on did not answer: worth another try
        ├── LedgerUnavailable    the table service
        ├── StorageUnavailable   the storage account of a blob
        ├── WorkspaceUnavailable Azure ML, when it is asked about a run
        └── TokenUnavailable     the identity endpoint

A retry can help only with `Unavailable` and the classes below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class TriggersError(Exception):
    """Root of this app's own errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One mistake: where it is, what was found, what is allowed and what to do.

    Attributes:
        where: The dotted path of the key (`triggers.new-data.blob.path`), or of the request's field.
        message: One sentence for a person.
        line: 1-based line in the file, when there is one.
        column: 1-based column in the file, when there is one.
    """

    where: str
    message: str
    line: int | None = None
    column: int | None = None


class FileError(TriggersError):
    """The triggers file cannot be used; all its mistakes are reported together."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(problems)
        super().__init__(self._text())

    def _text(self) -> str:
        count = len(self.problems)
        lines = [
            f"{self.file}: {count} mistake{'s' if count != 1 else ''} found; no function starts."
        ]
        for problem in self.problems:
            place = self.file
            if problem.line is not None:
                place += f":{problem.line}:{problem.column or 1}"
            lines.append(f"  {place}: {problem.where}: {problem.message}")
        return "\n".join(lines)


class SettingError(TriggersError):
    """An app setting is missing or cannot be used; the message names it, never its value."""

    def __init__(self, setting: str, message: str) -> None:
        self.setting = setting
        super().__init__(message)


class RequestError(TriggersError):
    """What a caller sent cannot become an event; `status` is the HTTP answer."""

    status: ClassVar[int] = 400
    title: ClassVar[str] = "Invalid request"

    def __init__(self, message: str, *, problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        super().__init__(message)


class NotFound(RequestError):
    """Nothing has that name."""

    status = 404
    title = "Not found"


class WrongSource(RequestError):
    """The trigger starts from another source than the one that was used."""

    status = 409
    title = "Wrong source"


class NotSignedIn(RequestError):
    """Roles are on, and nobody is signed in."""

    status = 401
    title = "Not signed in"


class MissingRole(RequestError):
    """Roles are on, and the caller has none that this needs."""

    status = 403
    title = "Role missing"


class NotAllowed(RequestError):
    """A submission stands where this cannot be done to it, or it must be confirmed first."""

    status = 409
    title = "Not allowed now"


class InvalidRequest(RequestError):
    """The request's content is wrong; `problems` names each mistake."""


class RequestTooLarge(RequestError):
    """The body is larger than the ledger can hold."""

    status = 413
    title = "Request too large"


class KeyReused(RequestError):
    """An `Idempotency-Key` came back with another body."""

    status = 422
    title = "Idempotency key reused"


class RenderError(TriggersError):
    """A trigger's values could not be made from an event.

    Attributes:
        where: The value that failed (`parameters.input_string`).
    """

    def __init__(self, where: str, message: str) -> None:
        self.where = where
        super().__init__(f"{where}: {message}" if where else message)


class MissingValue(RenderError):
    """A template named something that this event does not have (`http.body.day`)."""

    def __init__(self, where: str, name: str) -> None:
        self.name = name
        super().__init__(where, f"the event has no {name}")


class LedgerError(TriggersError):
    """A row of the ledger cannot be understood: somebody edited it."""


class NewerRow(LedgerError):
    """A newer version of the app wrote this row: it is left alone."""


class BodyTooLarge(RenderError):
    """The run's values are more than one property of the ledger's row can hold.

    Attributes:
        size: Bytes of the body.
        limit: Bytes it may have.
    """

    def __init__(self, size: int, *, limit: int) -> None:
        self.size = size
        self.limit = limit
        super().__init__(
            "",
            f"the submission's body has {size} bytes, and at most {limit} can be kept; "
            "put large values in a blob and pass its path",
        )


class CallError(TriggersError):
    """A call to the workspace got no whole answer; `__cause__` is what went wrong.

    Attributes:
        request_id: The `x-ms-client-request-id` of the call.
        sent: Whether any byte of the request may have left this process.
    """

    def __init__(self, message: str, *, request_id: str, sent: bool) -> None:
        self.request_id = request_id
        self.sent = sent
        super().__init__(message)


class NotSent(CallError):
    """The call certainly never left this process: the host is not allowed, or there was no time left."""

    def __init__(self, message: str, *, request_id: str) -> None:
        super().__init__(message, request_id=request_id, sent=False)


class Unavailable(TriggersError):
    """Something we depend on did not answer; the same call may work later."""


class LedgerUnavailable(Unavailable):
    """The ledger's table did not answer, so nothing can be promised."""


class StorageUnavailable(Unavailable):
    """The storage account of a blob did not answer."""


class WorkspaceUnavailable(Unavailable):
    """Azure ML did not say how a run stands."""


class TokenUnavailable(Unavailable):
    """No token could be had from the identity endpoint or the developer's login."""
