"""Time zones by IANA or Windows name, and the instants of wall times in them.

A *wall time* is the time that a clock in a zone shows: a naive datetime. Two rules apply if it is not exactly one
instant:

- A wall time in a gap (the clock is put forward over it) stands for the first instant after the gap.
- A wall time that the clock shows twice (the clock is put back) stands for the first of the two instants.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

_SECOND = timedelta(seconds=1)

_OBSOLETE = {
    "Kamchatka Standard Time": "Asia/Kamchatka",
    "Mid-Atlantic Standard Time": "Etc/GMT+2",
}
"""Windows names that SDK v1's `TimeZone` and Logic Apps have, and that are missing in CLDR's table."""


@cache
def find_zone(name: str) -> ZoneInfo:
    """Return the zone of an IANA name (`Europe/Berlin`) or a Windows name (`Pacific Standard Time`).

    Raises:
        ValueError: There is no such zone. The message has similar names, never the name itself.
    """
    zone = _iana(name) or _iana(_windows(name))
    if zone is None:
        raise ValueError(
            "there is no such time zone"
            + _similar_names(name)
            + "; write an IANA name such as Europe/Berlin, "
            "or a Windows name such as Pacific Standard Time"
        )
    return zone


def _iana(name: str) -> ZoneInfo | None:
    # The system's database also has `localtime` and `posixrules`, which differ from machine to machine. All IANA names
    # begin with a capital letter.
    if not name[:1].isupper():
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # not a key, a folder such as Europe, or unknown
        return None


def _windows(name: str) -> str:
    """Return the IANA name of a Windows name by CLDR's table, or an empty text."""
    # Imported here, so that only files with Windows names pay for the table.
    from tzlocal.windows_tz import win_tz

    return win_tz.get(name) or _OBSOLETE.get(name, "")


def _similar_names(name: str) -> str:
    """Return ` (did you mean x or y?)` with similar names of zones, or an empty text."""
    from difflib import get_close_matches
    from zoneinfo import available_timezones

    from tzlocal.windows_tz import win_tz

    names = sorted({*available_timezones(), *win_tz, *_OBSOLETE})
    known = {one.lower(): one for one in names if one[0].isupper()}
    # The last part is compared too, because people remember the city: `Berlin`, `CET/Berlin`.
    cities = {one.rpartition("/")[2]: one for one in known if "/" in one}
    wanted = name.lower()
    near = [known[one] for one in get_close_matches(wanted, known, n=3, cutoff=0.7)]
    city = wanted.rpartition("/")[2].replace(" ", "_")
    near += [known[cities[one]] for one in get_close_matches(city, cities, n=2, cutoff=0.8)]
    return f" (did you mean {' or '.join(dict.fromkeys(near))}?)" if near else ""


def wall_of(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return what a wall clock shows at an aware instant: naive, with `fold` 1 the second time."""
    return instant.astimezone(zone).replace(tzinfo=None)


def instant_of(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant in UTC that a wall time stands for, by the rules above.

    Raises:
        OverflowError: The instant is outside Python's calendar.
    """
    before = _offset(wall, zone, fold=0)
    instant = (wall - before).replace(tzinfo=UTC)
    after = _offset(wall, zone, fold=1)
    if after <= before:
        return instant  # it exists, and fold 0 is the first of two instants
    early = (wall - after).replace(tzinfo=UTC)
    return transition(early, instant, zone)


def exists(wall: datetime, zone: ZoneInfo) -> bool:
    """Return whether the clock ever shows a wall time."""
    return _offset(wall, zone, fold=1) <= _offset(wall, zone, fold=0)


def comes_twice(wall: datetime, zone: ZoneInfo) -> bool:
    """Return whether the clock shows a wall time twice."""
    return _offset(wall, zone, fold=1) < _offset(wall, zone, fold=0)


def last_wall_until(instant: datetime, zone: ZoneInfo) -> datetime:
    """Return a bound: no wall time after it stands for this instant or an earlier one."""
    wall = wall_of(instant, zone)
    if not wall.fold:
        return wall
    # The clock repeats this period. Its later wall times have already passed the first time.
    return wall.replace(fold=0) + _offset(wall, zone, fold=0) - _offset(wall, zone, fold=1)


def transition(early: datetime, late: datetime, zone: ZoneInfo) -> datetime:
    """Return the first second after `early` in which the zone has the offset that it has at `late`.

    If several transitions are between the two instants, one of them is returned.

    Args:
        early: An instant in UTC with another offset.
        late: A later instant in UTC.
        zone: The time zone.
    """
    # A binary search over the seconds between the two.
    offset = offset_at(late, zone)
    low, high = 0, -((early - late) // _SECOND)
    while high - low > 1:
        middle = (low + high) // 2
        if offset_at(late - middle * _SECOND, zone) == offset:
            low = middle
        else:
            high = middle
    return late - low * _SECOND


def offset_at(instant: datetime, zone: ZoneInfo) -> timedelta:
    """Return the offset of a zone from UTC at an instant."""
    return instant.astimezone(zone).utcoffset() or timedelta()


def _offset(wall: datetime, zone: ZoneInfo, *, fold: int) -> timedelta:
    return wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta()
