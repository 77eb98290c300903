"""Every error that this app raises on purpose, drawn as a tree.

    TriggersError
    ├── FileError                 the triggers file, or a setting that it names, is wrong: no function starts
    ├── SettingError              an app setting is missing or cannot be used
    ├── RequestError              a request cannot be carried out; `status` is the answer's HTTP status
    │   ├── NotFound              there is no trigger or submission of that name
    │   ├── WrongSource           the trigger starts from another source
    │   ├── NotSignedIn           roles are on, and the caller is not signed in
    │   ├── MissingRole           roles are on, and the caller has none that the route needs
    │   ├── NotAllowed            the submission's state does not allow this, or it must be confirmed
    │   ├── InvalidRequest        the request's content is wrong; carries every problem
    │   ├── RequestTooLarge       the request is larger than the ledger can hold
    │   └── KeyReused             the Idempotency-Key belongs to a request with another body
    ├── RenderError               a trigger's values cannot be rendered from an event
    │   ├── MissingValue          a template names a value that the event does not have
    │   └── BodyTooLarge          the rendered body is larger than the ledger can hold
    ├── CallError                 a call to Azure ML got no complete answer
    │   └── NotSent               the request definitely never left this process
    ├── ClockAhead                this instance's clock is far ahead of the ledger's
    ├── LedgerError               a row of the ledger cannot be read, because it was edited
    │   ├── NewerRow              a newer version of the app wrote the row
    │   └── TriggerUnreadable     it is a trigger's row
    └── Unavailable               a service that the app depends on did not answer
        ├── LedgerUnavailable     the table service
        ├── StorageUnavailable    the storage account of a blob
        ├── WorkspaceUnavailable  Azure ML, when the app asks about a run
        └── TokenUnavailable      the identity endpoint, or the developer's login

A retry can help only with `Unavailable` and the classes below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class TriggersError(Exception):
    """The root of this app's own errors."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One error in the triggers file, in a setting or in a request."""

    where: str
    """The dotted path of the key (`triggers.new-data.blob.path`), or the request's field."""
    message: str
    """One sentence for a person: what was found, what is expected, how to fix it."""
    line: int | None = None
    """The line in the file, from 1. None: the problem has no line."""
    column: int | None = None
    """The column in the file, from 1. None: the problem has no column."""


class FileError(TriggersError):
    """The triggers file cannot be used. Its message lists all problems, so that one try is enough to fix them."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        """The file's path."""
        self.problems = tuple(problems)
        """Every problem, in the file's order."""
        super().__init__(self._text())

    def _text(self) -> str:
        count = len(self.problems)
        lines = [
            f"{self.file}: {count} error{'s' if count != 1 else ''} found; no function starts."
        ]
        for problem in self.problems:
            position = self.file
            if problem.line is not None:
                position += f":{problem.line}:{problem.column or 1}"
            lines.append(f"  {position}: {problem.where}: {problem.message}")
        return "\n".join(lines)


class SettingError(TriggersError):
    """An app setting is missing or cannot be used. The message never holds its value, which may be a secret."""

    def __init__(self, setting: str, message: str) -> None:
        self.setting = setting
        """The setting's name."""
        super().__init__(message)


class RequestError(TriggersError):
    """A request cannot be carried out."""

    status: ClassVar[int] = 400
    """The answer's HTTP status."""
    title: ClassVar[str] = "Invalid request"
    """The answer's title (RFC 9457)."""

    def __init__(self, message: str, *, problems: Sequence[Problem] = ()) -> None:
        self.problems = tuple(problems)
        """Every problem of the request's content."""
        super().__init__(message)


class NotFound(RequestError):
    """There is no trigger or submission of that name."""

    status = 404
    title = "Not found"


class WrongSource(RequestError):
    """The trigger starts from another source than the one that the request is for."""

    status = 409
    title = "Wrong source"


class NotSignedIn(RequestError):
    """Roles are on, and the caller is not signed in."""

    status = 401
    title = "Not signed in"


class MissingRole(RequestError):
    """Roles are on, and the caller has none that the route needs."""

    status = 403
    title = "Role missing"


class NotAllowed(RequestError):
    """The submission's state does not allow this, or the caller must confirm it first."""

    status = 409
    title = "Not allowed now"


class InvalidRequest(RequestError):
    """The request's content is wrong. `problems` lists every problem."""


class RequestTooLarge(RequestError):
    """The request is larger than the ledger can hold."""

    status = 413
    title = "Request too large"


class KeyReused(RequestError):
    """The `Idempotency-Key` belongs to a request with another body."""

    status = 422
    title = "Idempotency key reused"


class RenderError(TriggersError):
    """A trigger's values cannot be rendered from an event."""

    def __init__(self, where: str, message: str) -> None:
        self.where = where
        """The value that failed (`parameters.input_string`), or empty for the whole body."""
        super().__init__(f"{where}: {message}" if where else message)


class MissingValue(RenderError):
    """A template names a value that this event does not have."""

    def __init__(self, where: str, name: str) -> None:
        self.name = name
        """The name in the template (`http.body.day`)."""
        super().__init__(where, f"the event has no {name}")


class BodyTooLarge(RenderError):
    """The rendered body is larger than one property of a row can be."""

    def __init__(self, size: int, *, limit: int) -> None:
        self.size = size
        """The body's size in bytes."""
        self.limit = limit
        """The largest size in bytes."""
        super().__init__(
            "",
            f"the submission's body has {size} bytes, and at most {limit} can be kept; "
            "put large values in a blob and pass its path",
        )


class CallError(TriggersError):
    """A call to Azure ML got no complete answer. `__cause__` is the error of the connection."""

    def __init__(self, message: str, *, request_id: str, sent: bool) -> None:
        self.request_id = request_id
        """The `x-ms-client-request-id` of the call."""
        self.sent = sent
        """Whether any byte of the request may have left this process."""
        super().__init__(message)


class NotSent(CallError):
    """The request definitely never left this process: its host is not allowed, or its deadline had passed."""

    def __init__(self, message: str, *, request_id: str) -> None:
        super().__init__(message, request_id=request_id, sent=False)


class ClockAhead(TriggersError):
    """The clock of this instance is far ahead of the ledger's. A tick would record the future."""


class LedgerError(TriggersError):
    """A row of the ledger cannot be read, because it was edited."""


class NewerRow(LedgerError):
    """A newer version of the app wrote the row. This version leaves it alone."""


class TriggerUnreadable(LedgerError):
    """A trigger's row cannot be read, so the app does not know which events the trigger lets through."""


class Unavailable(TriggersError):
    """A service that the app depends on did not answer. The same call may succeed later."""


class LedgerUnavailable(Unavailable):
    """The ledger's table did not answer, so the event is not safe."""


class StorageUnavailable(Unavailable):
    """The storage account of a blob did not answer."""


class WorkspaceUnavailable(Unavailable):
    """Azure ML did not answer a question about a run."""


class TokenUnavailable(Unavailable):
    """Neither the identity endpoint nor the developer's login gave a token."""
