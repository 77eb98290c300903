"""A schedule as the triggers file has it.

Its keys are those of SDK v1's `ScheduleRecurrence` and of v2's schedules, and some of this app's own. This module says
what each value must be. `shared.config.compile.sources` says which keys go together.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from shared.config.schema import checks
from shared.config.schema.values import Entry, Text
from shared.schedules.recurrence import MAX_INTERVAL


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


Hour = Annotated[int, Field(ge=0, le=23)]
Minute = Annotated[int, Field(ge=0, le=59)]
MonthDay = Annotated[
    int,
    AfterValidator(checks.month_day),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1, "maximum": 31}, {"const": -1}]}),
]
WeekDay = Annotated[
    Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
    BeforeValidator(_lower),
]


class ScheduleEntry(Entry):
    """Starts a run at each occurrence of a schedule. It has either `frequency` or `cron`.

    `docs/schedules.md` has the rules for time zones, daylight saving time and missed occurrences.
    """

    title: ClassVar[str] = "triggers.<name>.schedule"

    frequency: (
        Annotated[Literal["minute", "hour", "day", "week", "month"], BeforeValidator(_lower)] | None
    ) = Field(
        default=None,
        description="The unit that `interval` counts, in upper or lower case. `minute` and `hour` follow elapsed "
        "time. The others keep wall-clock time. Counting starts at `start_time`, or else in the minute in which the "
        "app registered the trigger.",
        examples=["day"],
    )
    interval: Annotated[int, Field(ge=1, le=MAX_INTERVAL)] | None = Field(
        default=None,
        description="Number of units between two occurrences. Default: 1. Only with `frequency`.",
        examples=[2],
    )
    hours: Annotated[list[Hour], AfterValidator(checks.each_once)] | None = Field(
        default=None,
        description="Hours of the day, each combined with each of `minutes`. Default: 0 if only `minutes` are given. "
        "Only with `day`, `week` and `month`.",
        examples=[[6, 18]],
    )
    minutes: Annotated[list[Minute], AfterValidator(checks.each_once)] | None = Field(
        default=None,
        description="Minutes of the hour, each combined with each of `hours`. Default: 0 if only `hours` are given. "
        "Only with `day`, `week` and `month`.",
        examples=[[0, 30]],
    )
    time_of_day: Annotated[Text, AfterValidator(checks.time_of_day)] | None = Field(
        default=None,
        description="One time of day, instead of `hours` and `minutes`. Only with `day`, `week` and `month`.",
        examples=["6:30"],
    )
    week_days: Annotated[list[WeekDay], AfterValidator(checks.each_once)] | None = Field(
        default=None,
        description="English names of days, in upper or lower case. Weeks begin on Monday. Default: the day of the "
        "week on which counting starts. Only with `week`.",
        examples=[["monday", "wednesday"]],
    )
    month_days: Annotated[list[MonthDay], AfterValidator(checks.each_once)] | None = Field(
        default=None,
        description="Days of the month: 1 to 31, and -1 for the last day. A month without such a day has no occurrence "
        "for it. Default: the day of the month on which counting starts. Only with `month`.",
        examples=[[1, -1]],
    )
    cron: Annotated[Text, AfterValidator(checks.cron)] | None = Field(
        default=None,
        description="Five fields (minute, hour, day of month, month, day of week), or a macro such as `@daily`. "
        "It keeps wall-clock time, or follows elapsed time if the hour is `*` or `*/n`.",
        examples=["30 6 * * MON-FRI"],
    )
    time_zone: Annotated[Text, AfterValidator(checks.time_zone)] = Field(
        default="UTC",
        description="Time zone of the schedule: an IANA name, or a Windows name such as `Pacific Standard Time`.",
        examples=["Europe/Berlin"],
    )
    start_time: Annotated[Text, AfterValidator(checks.moment)] | None = Field(
        default=None,
        description="No occurrence is earlier: a local time in `time_zone`, or an instant with its offset. "
        "It is an occurrence itself if no other key gives a day or a time of day.",
        examples=["2027-03-01T06:00:00"],
    )
    end_time: Annotated[Text, AfterValidator(checks.moment)] | None = Field(
        default=None,
        description="No occurrence is later. The end itself can be an occurrence. Written as `start_time` is.",
        examples=["2027-12-31T18:00:00"],
    )
    excluded: list[Annotated[Text, AfterValidator(checks.days)]] = Field(
        default_factory=list,
        alias="except",
        description="Days without occurrences: single days and ranges of days, in `time_zone`.",
        examples=[["2027-05-17", "2027-12-24 to 2028-01-02"]],
    )
    jitter: Annotated[Text, AfterValidator(checks.jitter)] | None = Field(
        default=None,
        description="Maximum delay of an occurrence (`s`, `m`, `h`, `d`; at most 12h). "
        "The same occurrence always has the same delay.",
        examples=["10m"],
    )
    catch_up: Literal["none", "latest", "all"] = Field(
        default="latest",
        description="Which missed occurrences run: `none`, the `latest`, or `all` of them, oldest first. "
        "An occurrence is missed if no tick handles it within two minutes. "
        "The missed occurrences that do not run are recorded as `skipped`.",
        examples=["all"],
    )
    catch_up_window: Annotated[Text, AfterValidator(checks.catch_up_window)] = Field(
        default="24h",
        description="Missed occurrences older than this are always skipped (`s`, `m`, `h`, `d`; at most 366d).",
        examples=["7d"],
    )
    run_at_start: bool = Field(
        default=False,
        description="Whether the minute in which the app registers the trigger is an occurrence too. "
        "Not with `start_time`.",
        examples=[True],
    )

    @model_validator(mode="after")
    def _has_one_rule(self) -> ScheduleEntry:
        # The keys that the file has, not their values: a value of None is reported already.
        given = self.model_fields_set & {"frequency", "cron"}
        if len(given) != 1:
            raise ValueError(
                "a schedule has either frequency (with interval) or cron; "
                f"this one has {'both' if given else 'neither'}"
            )
        return self
