"""Rules for single values of the triggers file.

Each check returns the value, or raises a ValueError with one sentence. The sentence never repeats the value, which may
come from an app setting.
"""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta

from shared.core.times import print_duration, read_duration, read_instant
from shared.schedules.cron import Cron
from shared.schedules.exclusions import read_days
from shared.schedules.zones import find_zone

NAME = r"^[a-z][a-z0-9-]{0,62}$"
"""Names of triggers and pipelines. They become parts of function names, row keys and URLs."""

# In Python `$` also matches before a line break at the end.
_NAME = re.compile(NAME.removesuffix("$") + r"\Z")
_CONNECTION = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]*")
# "Naming and Referencing Containers, Blobs, and Metadata", Azure Storage documentation.
_CONTAINER = re.compile(r"(?=.{3,63}\Z)[a-z0-9](?:-?[a-z0-9])*\Z|\$(?:root|web|logs)\Z")

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:\d\d)?")
_TIME_OF_DAY = re.compile(r"([0-9]{1,2}):([0-9]{2})")

MAX_JITTER = timedelta(hours=12)
"""Well below the default of `give_up_after`, a day, so that a delayed submission still has time for retries."""
MAX_WINDOW = timedelta(days=366)


def duration(text: str) -> str:
    """Check a duration."""
    read_duration(text)
    return text


def name(text: str) -> str:
    """Check the name of a trigger or a pipeline."""
    if not _NAME.match(text):
        raise ValueError(
            "a name has 1 to 63 characters of a-z, 0-9 and -, and begins with a letter; "
            "write for example new-data"
        )
    return text


def connection(text: str) -> str:
    """Check the name of a connection."""
    if not _CONNECTION.fullmatch(text):
        raise ValueError(
            "a connection is the name of an app setting, or the prefix of several "
            "(DataStorage for DataStorage__blobServiceUri), never a connection string"
        )
    return text


def container(text: str) -> str:
    """Check the name of a container."""
    if not _CONTAINER.match(text):
        raise ValueError(
            "a container's name has 3 to 63 characters of a-z, 0-9 and single -, and begins and ends with a "
            "letter or digit; $root, $web and $logs are allowed too"
        )
    return text


def folder(text: str) -> str:
    """Check the folder of a blob trigger, and remove a slash at its end."""
    if any(character in text for character in "{}%"):
        raise ValueError(
            "path must not contain {, } or %, which the Functions host reads as binding expressions; "
            "use the folder above it, and select blobs with include and exclude"
        )
    if "*" in text:
        raise ValueError(
            'path is a folder, not a pattern; select blobs in it with include, such as ["*.csv"]'
        )
    text = text.removesuffix("/") if text != "/" else text
    parts = text.split("/")
    if text and ("" in parts or "." in parts or ".." in parts or "\\" in text):
        raise ValueError(
            "path is a folder below the container such as incoming/daily, with no / at its start, "
            "no //, no . or .. and no backslash; for the whole container, remove the key"
        )
    return text


def pattern(text: str) -> str:
    """Check a glob of `include` or `exclude`."""
    parts = text.split("/")
    if "" in parts or "." in parts or ".." in parts:
        raise ValueError(
            "a pattern such as *.csv is matched against the path below path; it is not empty, and has no / at its "
            "start or end, no //, no . and no .."
        )
    if "{" in text:
        raise ValueError(
            'a pattern cannot have { }; list one pattern for each, such as ["*.csv", "*.json"]'
        )
    if any("**" in part and part != "**" for part in parts):
        raise ValueError("** must stand alone between slashes; write **/*.csv")
    return text


def start(text: str) -> str:
    """Check `blob.start`."""
    if text in ("now", "beginning"):
        return text
    try:
        read_instant(text)
    except ValueError:
        raise ValueError(
            "allowed are now, beginning, or an instant with its offset, such as 2027-03-27T01:30:00Z"
        ) from None
    return text


def read_start(text: str) -> datetime | None:
    """Return the instant of a checked `blob.start`, or None for now and beginning."""
    return None if text in ("now", "beginning") else read_instant(text)


def cron(text: str) -> str:
    """Check a cron expression."""
    Cron(text)
    return text


def time_zone(text: str) -> str:
    """Check the name of a time zone."""
    find_zone(text)
    return text


def moment(text: str) -> str:
    """Check `start_time` or `end_time`: a local time, or an instant with its offset."""
    read_moment(text)
    return text


def read_moment(text: str) -> datetime:
    """Return a local time as a naive datetime, or an instant if the text has an offset.

    Raises:
        ValueError: The text is neither.
    """
    if not _MOMENT.fullmatch(text):
        raise ValueError(
            "a time is local to time_zone, such as 2027-03-01T06:00:00, or has an offset (Z, +01:00) at its end"
        )
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("the calendar has no such day or time") from None


def time_of_day(text: str) -> str:
    """Check a time of day."""
    read_time_of_day(text)
    return text


def read_time_of_day(text: str) -> time:
    """Return the time of a `time_of_day`.

    Raises:
        ValueError: The text is not a time of day.
    """
    found = _TIME_OF_DAY.fullmatch(text)
    if found is None or int(found[1]) > 23 or int(found[2]) > 59:
        raise ValueError("a time of day is hour:minute from 0:00 to 23:59, such as 6:30")
    return time(int(found[1]), int(found[2]))


def days(text: str) -> str:
    """Check an item of `except`."""
    read_days(text)
    return text


def month_day(number: int) -> int:
    """Check an item of `month_days`."""
    if number != -1 and not 1 <= number <= 31:
        raise ValueError("a day of the month is 1 to 31, or -1 for the last day")
    return number


def each_once[V](values: list[V]) -> list[V]:
    """Check that a list has at least one item and no duplicates."""
    if not values:
        raise ValueError("the list is empty; add at least one item, or remove the key")
    if len(set(values)) < len(values):
        raise ValueError("the list has a duplicate; list each item once")
    return values


def jitter(text: str) -> str:
    """Check a jitter."""
    return _bounded(text, most=MAX_JITTER)


def catch_up_window(text: str) -> str:
    """Check a window of missed occurrences."""
    return _bounded(text, most=MAX_WINDOW)


def _bounded(text: str, *, most: timedelta) -> str:
    if read_duration(text) > most:
        raise ValueError(f"at most {print_duration(most)} is allowed")
    return text


def scope(text: str) -> str:
    """Check a token scope."""
    if not re.fullmatch(r"https://[A-Za-z0-9.-]+(?:/[^\s?#]*)?/\.default", text):
        raise ValueError(
            "a scope is https://<resource>/.default; write for example https://ml.azure.com/.default"
        )
    return text
