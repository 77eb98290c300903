"""When a schedule fires: one of two rules, cron or recurrence, and what a first sight means for it.

Everything is in UTC. The anchor is the trigger's first sight cut to the minute; nothing fires at or
before it. `run_at_start` asks for one more occurrence, the anchor itself, which the caller adds:
only it knows whether the anchor has just been set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.cron import Cron
from shared.recurrence import Recurrence


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """A rule that names instants.

    Attributes:
        rule: Which instants.
        run_at_start: Whether the anchor itself counts too.
    """

    rule: Cron | Recurrence
    run_at_start: bool = False

    @property
    def definition(self) -> str:
        """The rule in one line, normalised: as long as it stays, so does the anchor.

        `run_at_start` is no part of it, so that switching it on starts nothing by itself.
        """
        return self.rule.definition

    def latest(self, *, anchor: datetime, after: datetime, until: datetime) -> datetime | None:
        """Return the latest occurrence in (after, until], or None.

        Args:
            anchor: The trigger's first sight, cut to the minute.
            after: The instant up to which occurrences are done; not included.
            until: The last instant that counts; included.

        Raises:
            ValueError: One of the instants has no zone.
        """
        anchor, after, until = _in_utc(anchor, after, until)
        return self.rule.latest(anchor=anchor, after=after, until=until)

    def occurrences(
        self, *, anchor: datetime, after: datetime, until: datetime
    ) -> Iterator[datetime]:
        """Return the occurrences in (after, until], oldest first; arguments as for `latest`.

        Raises:
            ValueError: One of the instants has no zone.
        """
        anchor, after, until = _in_utc(anchor, after, until)
        return self.rule.occurrences(anchor=anchor, after=after, until=until)


def _in_utc(*instants: datetime) -> tuple[datetime, ...]:
    """Return the instants in UTC; a naive one is a mistake of the caller."""
    for instant in instants:
        if instant.tzinfo is None:
            raise ValueError(f"{instant!r} has no time zone")
    return tuple(instant.astimezone(UTC) for instant in instants)
