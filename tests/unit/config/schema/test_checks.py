"""Rules for single values of the file: what is allowed, and the message about everything else."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, time

import pytest

from shared.config.schema import checks

GOOD: list[tuple[Callable[[str], str], str]] = [
    (checks.name, "a"),
    (checks.name, "a" * 63),
    (checks.name, "every-15-minutes"),
    (checks.connection, "DataStorage"),
    (checks.connection, "Data__storage"),
    (checks.container, "abc"),
    (checks.container, "azureml-blobstore-0a1b"),
    (checks.container, "0" * 63),
    (checks.container, "$root"),
    (checks.container, "$web"),
    (checks.container, "$logs"),
    (checks.folder, ""),
    (checks.folder, "incoming"),
    (checks.folder, "incoming/a b/é+#?"),
    (checks.folder, "...a/..b"),
    (checks.pattern, "*.csv"),
    (checks.pattern, "**/*.csv"),
    (checks.pattern, "a/**"),
    (checks.start, "now"),
    (checks.start, "beginning"),
    (checks.start, "2027-03-27T01:30:00Z"),
    (checks.start, "2027-03-27T01:30:00+02:00"),
    (checks.scope, "https://management.azure.com/.default"),
    (checks.scope, "https://ml.azure.com/.default"),
]


@pytest.mark.parametrize(("rule", "text"), GOOD)
def test_a_good_value_stays_as_it_is(rule: Callable[[str], str], text: str) -> None:
    assert rule(text) == text


BAD: list[tuple[Callable[[str], str], str, str]] = [
    *[(checks.name, text, "a name has 1 to 63") for text in ("", "A", "1a", "a_b", "a" * 64, "a\n")],
    (checks.connection, "AccountKey=x;", "never a connection string"),
    (checks.connection, "%X%", "a connection is the name of an app setting"),
    *[
        (checks.container, text, "a container's name has 3 to 63")
        for text in ("ab", "a" * 64, "Abc", "-abc", "abc-", "a--b", "a_b", "$other", "abc\n")
    ],
    *[(checks.folder, text, "must not contain {, } or %") for text in ("{a}", "a}", "50%")],
    (checks.folder, "incoming/*.csv", "path is a folder, not a pattern"),
    (checks.pattern, "*.{csv,json}", "list one pattern for each"),
    *[
        (checks.folder, text, "with no / at its start")
        for text in ("/", "/a", "a//b", "a//", "a/../b", "..", ".", "a\\b")
    ],
    *[(checks.pattern, text, "matched against the path below path") for text in ("", "/a", "a/", "a//b")],
    *[(checks.pattern, text, "** must stand alone") for text in ("**.csv", "a**/b")],
    *[
        (checks.start, text, "allowed are now, beginning, or an instant with its offset")
        for text in ("later", "2027-01-01", "2027-03-27T01:30:00", "")
    ],
    *[
        (checks.scope, text, "a scope is https://<resource>/.default")
        for text in ("https://management.azure.com", "http://x/.default", "x/.default", "https:///.default")
    ],
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "message"), BAD)
def test_a_bad_value_is_refused_without_repeating_it(
    rule: Callable[[str], str], text: str, message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        rule(text)
    assert message in str(caught.value)
    assert len(text) < 20 or text not in str(caught.value)


def test_a_slash_at_a_folders_end_is_removed() -> None:
    assert checks.folder("incoming/daily/") == "incoming/daily"


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("now", None),
        ("beginning", None),
        ("2027-03-27T03:30:00+02:00", datetime(2027, 3, 27, 1, 30, tzinfo=UTC)),
    ],
)
def test_a_start_is_an_instant_or_a_word(text: str, start: datetime | None) -> None:
    assert checks.read_start(text) == start


def test_a_moment_is_local_unless_it_has_an_offset() -> None:
    assert checks.read_moment("2027-03-01T06:00") == datetime(2027, 3, 1, 6)
    assert checks.read_moment("2027-03-01T06:00:00Z") == datetime(2027, 3, 1, 6, tzinfo=UTC)


def test_a_time_of_day_may_have_one_digit_for_the_hour() -> None:
    assert checks.read_time_of_day("6:05") == checks.read_time_of_day("06:05") == time(6, 5)


def test_a_list_has_each_item_once() -> None:
    assert checks.each_once([3, 1]) == [3, 1]
    with pytest.raises(ValueError, match="the list is empty; add at least one item"):
        checks.each_once([])
    with pytest.raises(ValueError, match="the list has a duplicate; list each item once"):
        checks.each_once([1, 1])


@pytest.mark.parametrize(
    ("check", "most", "too_much", "message"),
    [
        (checks.jitter, "12h", "13h", "at most 12h is allowed"),
        (checks.catch_up_window, "366d", "400d", "at most 366d is allowed"),
    ],
)
def test_a_duration_has_a_maximum(
    check: Callable[[str], str], most: str, too_much: str, message: str
) -> None:
    assert check(most) == most
    with pytest.raises(ValueError, match=message):
        check(too_much)
