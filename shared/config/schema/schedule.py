"""A schedule as the triggers file writes it: the fields of SDK v1's `ScheduleRecurrence`, of v2's schedules, and ours.

What each value must look like is said here; which keys go together, in `shared.config.compile.schedules`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from shared.config.schema import checks as rules
from shared.config.schema.values import Entry, Text
from shared.schedules.recurrence import MAX_INTERVAL


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Hour = Annotated[int, Field(ge=0, le=23)]
Minute = Annotated[int, Field(ge=0, le=59)]
MonthDay = Annotated[
    int,
    AfterValidator(rules.month_day),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 31}, {"const": -1}]}),
]
WeekDay = Annotated[
    Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    BeforeValidator(_lower),
]


class ScheduleEntry(Entry):
    """A time comes. Either `frequency` or `cron`. `docs/schedules.md` has the rules for every corner."""

    title: ClassVar[str] = "triggers.<name>.schedule"

    frequency: (
        Annotated[Literal["minute", "hour", "day", "week", "month"], BeforeValidator(_lower)] | None
    ) = Field(
        default=None,
        description="The unit that `interval` counts, from `start_time`, or from the minute in which the app first "
        "saw the schedule. Upper or lower case. `minute` and `hour` follow elapsed time; the others keep "
        "wall-clock time.",
        examples=["day"],
    )
    interval: Annotated[int, Field(ge=1, le=MAX_INTERVAL)] | None = Field(
        default=None,
        description="How many units lie between two occurrences; 1 when left out. "
        "Only with `frequency`.",
        examples=[2],
    )
    hours: Annotated[list[Hour], AfterValidator(rules.each_once)] | None = Field(
        default=None,
        description="Hours of the day, each with each of `minutes`; 0 when only `minutes` are given. "
        "Only with `day`, `week` and `month`.",
        examples=[[6, 18]],
    )
    minutes: Annotated[list[Minute], AfterValidator(rules.each_once)] | None = Field(
        default=None,
        description="Minutes of each of `hours`; 0 when only `hours` are given. Only with `day`, `week` and `month`.",
        examples=[[0, 30]],
    )
    time_of_day: Annotated[Text, AfterValidator(rules.time_of_day)] | None = Field(
        default=None,
        description="One time of day, instead of `hours` and `minutes`.",
        examples=["6:30"],
    )
    week_days: Annotated[list[WeekDay], AfterValidator(rules.each_once)] | None = Field(
        default=None,
        description="English names of days, upper or lower case; the day on which it began when left out. "
        "Only with `week`. Weeks begin on Monday.",
        examples=[["monday", "wednesday"]],
    )
    month_days: Annotated[list[MonthDay], AfterValidator(rules.each_once)] | None = Field(
        default=None,
        description="Days of the month, 1 to 31, and -1 for the last; the day on which it began when left out. A "
        "month without such a day is passed over. Only with `month`.",
        examples=[[1, -1]],
    )
    cron: Annotated[Text, AfterValidator(rules.cron)] | None = Field(
        default=None,
        description="Five fields: minute, hour, day of month, month, day of week; or a macro such as `@daily`. "
        "Keeps wall-clock time, but follows elapsed time when the hour is `*` or `*/n`.",
        examples=["30 6 * * MON-FRI"],
    )
    time_zone: Annotated[Text, AfterValidator(rules.time_zone)] = Field(
        default="UTC",
        description="Whose wall clock counts: an IANA name, or a Windows name such as `Pacific Standard Time`.",
        examples=["Europe/Berlin"],
    )
    start_time: Annotated[Text, AfterValidator(rules.moment)] | None = Field(
        default=None,
        description="From when on: a local time of `time_zone`, or an instant with its offset. It is itself the first "
        "occurrence only where nothing else names a day or a time of day.",
        examples=["2027-03-01T06:00:00"],
    )
    end_time: Annotated[Text, AfterValidator(rules.moment)] | None = Field(
        default=None,
        description="Until when, itself included: written as `start_time` is.",
        examples=["2027-12-31T18:00:00"],
    )
    excluded: list[Annotated[Text, AfterValidator(rules.days)]] = Field(
        default_factory=list,
        alias="except",
        description="Days, or spans of days, of `time_zone` on which nothing runs.",
        examples=[["2027-05-17", "2027-12-24 to 2028-01-02"]],
    )
    jitter: Annotated[Text, AfterValidator(rules.jitter)] | None = Field(
        default=None,
        description="Start up to this much later (`s`, `m`, `h`, `d`; at most 12h): always the same delay for the "
        "same occurrence.",
        examples=["10m"],
    )
    catch_up: Literal["none", "latest", "all"] = Field(
        default="latest",
        description="Which of the occurrences run that no tick came for within two minutes: none, the newest, or all, "
        "oldest first. The others are recorded as `skipped`.",
        examples=["all"],
    )
    catch_up_window: Annotated[Text, AfterValidator(rules.catch_up_window)] = Field(
        default="24h",
        description="What is later than this is skipped in any case (`s`, `m`, `h`, `d`; at most 366d).",
        examples=["7d"],
    )
    run_at_start: bool = Field(
        default=False,
        description="Whether the minute in which the app first sees the schedule counts as an "
        "occurrence too. Not with `start_time`.",
        examples=[True],
    )

    @model_validator(mode="after")
    def _says_when_once(self) -> ScheduleEntry:
        if (self.frequency is None) == (self.cron is None):
            raise ValueError("a schedule has either frequency (with interval) or cron")
        return self
