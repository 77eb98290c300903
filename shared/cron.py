"""Five-field cron expressions in UTC, read as Debian's cron reads them (`cronsim`).

Day-of-month and day-of-week must both match when one of them begins with `*`; else either is
enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

MAX_LENGTH = 500
"""Characters: 60 minutes, 24 hours and 31 days written out one by one fit."""

_FIELDS = {
    "minute": "0-59",
    "hour": "0-23",
    "day-of-month": "1-31 and L",
    "month": "1-12 and JAN-DEC",
    "day-of-week": "0-7 (0 and 7 are Sunday) and SUN-SAT",
}
_SOME_DAY = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Cron:
    """A five-field cron expression: minute, hour, day of month, month, day of week.

    Attributes:
        expression: The five fields, upper case, with one space between them.

    Raises:
        ValueError: Not five fields, a field cannot be read, or no day ever matches.
    """

    expression: str

    def __post_init__(self) -> None:
        if len(self.expression) > MAX_LENGTH:
            raise ValueError(f"a cron expression has at most {MAX_LENGTH} characters")
        fields = self.expression.upper().split()
        if len(fields) != len(_FIELDS):
            raise ValueError(
                "a cron expression has exactly five fields (minute, hour, day of month, month, "
                f"day of week) and this one has {len(fields)}; write for example 30 6 * * MON-FRI"
            )
        object.__setattr__(self, "expression", " ".join(fields))
        self._check_each(fields)
        try:
            next(CronSim(self.expression, _SOME_DAY))
        except (CronSimError, StopIteration):
            # Each field can be read, so together they name no day: February 30, or a fifth Monday
            # on the 2nd.
            raise ValueError(
                "the expression can never fire: no day has that day of month, month and day of week"
            ) from None

    @staticmethod
    def _check_each(fields: list[str]) -> None:
        """Read each field with the others open, so that a mistake is told of the field it is in."""
        for position, (name, allowed) in enumerate(_FIELDS.items()):
            alone = ["*"] * len(fields)
            alone[position] = fields[position]
            try:
                CronSim(" ".join(alone), _SOME_DAY)
            # ValueError: int() refuses numbers of thousands of digits.
            except (CronSimError, ValueError):
                raise ValueError(
                    f"the field {name} cannot be read; allowed are {allowed}, *, "
                    "lists with commas, ranges from low to high with -, and steps with /"
                ) from None

    @property
    def definition(self) -> str:
        """The rule in one line: equal rules have equal definitions."""
        return f"cron {self.expression}"

    def latest(self, *, anchor: datetime, after: datetime, until: datetime) -> datetime | None:
        """Return the latest occurrence in (after, until] that is later than the anchor.

        It looks back from `until`, so that the distance to the anchor costs nothing.
        """
        second = until.astimezone(UTC).replace(microsecond=0)
        # Backwards, cronsim begins strictly before the instant it is given.
        occurrence = next(
            CronSim(self.expression, second + timedelta(seconds=1), reverse=True), None
        )
        return occurrence if occurrence is not None and occurrence > max(after, anchor) else None

    def occurrences(
        self, *, anchor: datetime, after: datetime, until: datetime
    ) -> Iterator[datetime]:
        """Yield the occurrences in (after, until] that are later than the anchor, oldest first."""
        for occurrence in CronSim(self.expression, max(after, anchor).astimezone(UTC)):
            if occurrence > until:
                return
            yield occurrence
