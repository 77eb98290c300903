"""Words that the vocabulary retired do not come back. `docs/glossary.md` has the words that replaced them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SKIPPED = {"node_modules", "__pycache__"}
"""Folders of installed or compiled files. Folders whose names begin with a dot are skipped too."""


def word(text: str) -> str:
    """Return a pattern for a word and its plural: alone, or as a part of `snake_case` or `CamelCase`."""
    first, rest = text[0], text[1:]
    start = f"(?:(?<![A-Za-z])[{first}{first.upper()}]|(?<=[a-z]){first.upper()})"
    return f"(?:{start}{rest}(?:s|es)?(?![a-z])|(?<![A-Z]){text.upper()}S?(?![A-Z]))"


def phrase(text: str) -> str:
    """Return a pattern for words in a row, also over the end of a line of prose or of comments."""
    words = text.split()
    return r"[\s#_]+".join([word(words[0]), *(rf"(?i:{one})" for one in words[1:])]) + r"(?![a-z])"


def class_name(text: str) -> str:
    """Return a pattern for the name of a class, private or not; prose writes these words in lower case."""
    return f"(?<![A-Za-z]){text}(?![a-z])"


RETIRED = {
    # What was renamed, and its name today.
    word("sighting"): "registration",
    phrase("first sight"): "registration",
    word("neighbour"): "reference run",
    word("neighbor"): "reference run",
    r"(?<![A-Za-z])evaluated_until(?![a-z])": "watermark",
    class_name("BlobNotice"): "BlobNotification",
    class_name("BlobNews"): "BlobDelivery",
    r"(?<![A-Za-z])sees_newest(?![a-z])": "saw_reference",
    # As a field, an argument or a documented attribute. In prose it is an ordinary verb.
    r"(?:\.looks\b|\blooks(?:: |\s*=[^=])|[\"'`]looks[\"'`])": "conclusive_searches",
    # The plural stays: the Functions worker's own messages have a field of that name.
    r"\b[Cc]apability\b": "status token",
    class_name("Wanted"): "SubmissionFilter",
    # Not at the start of a sentence about listing something.
    r"(?<![A-Za-z])Listing(?=[(\[\],:|)]|\s*$)": "SubmissionPage",
    class_name("Filler"): "PlaceholderResolver",
    # The chaos harness.
    word("crew"): "WorkerPool",
    word("scene"): "Environment",
    word("verdict"): "Checks",
    # "What is happening" is ordinary English.
    r"(?:(?<![A-Za-z])Happenings?(?![a-z])|(?<![A-Za-z])happenings(?![a-z])|_happening\b|\bhappening:)": (
        "PlannedEvent"
    ),
    class_name("Seams"): "FaultPoints",
    class_name("Manner"): "FaultKind",
    class_name("Sight"): "SearchVisibility",
    # Prose that hides who does something, or says less than a standard word.
    phrase("nobody knows"): "ambiguous",
    word("whoever"): "the caller, the app, the tick, Azure ML",
    word("somebody"): "a caller, a person, another process",
    phrase("for ever"): "without end, or a bound",
    word("certainly"): "definitely",
    word("mistake"): "error, or bug",
    phrase("tried again"): "retried",
    phrase("made up for"): "caught up",
    phrase("make up for"): "catch up",
    phrase("makes up for"): "catches up",
}
PATTERN = re.compile("|".join(f"(?P<r{n}>{one})" for n, one in enumerate(RETIRED)), re.MULTILINE)
INSTEAD = list(RETIRED.values())


def find_files(folder: Path) -> Iterator[Path]:
    """Yield the code and the prose of the repository."""
    for entry in sorted(folder.iterdir()):
        if entry.is_symlink() or entry.name in SKIPPED or entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from find_files(entry)
        elif entry.suffix in {".py", ".md"} and entry != Path(__file__).resolve():
            yield entry


def find_retired(text: str) -> list[str]:
    """Return where retired words stand, and what to write instead."""
    found = []
    for match in PATTERN.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        instead = INSTEAD[int((match.lastgroup or "r0")[1:])]
        found.append(f"line {line}: {match[0]!r}; write {instead}")
    return found


@pytest.mark.parametrize(
    "file", list(find_files(ROOT)), ids=lambda file: str(file.relative_to(ROOT))
)
def test_no_retired_word_comes_back(file: Path) -> None:
    assert find_retired(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "text",
    [
        "a sighting",
        "Sightings",
        "self._sightings",
        "its first\n    # sight",
        "MAX_MISTAKES",
        "class MistakeView:",
        "def _callers_mistake(",
        "nobody\nknows",
        "NOBODY_KNOWS = 1",
        "Whoever calls",
        "somebody's row",
        "it would fail for ever.",
        "looks: Searches since then",
        "row.looks += 1",
        "class _Filler:",
        "wanted: Wanted",
        "-> Listing:",
        "class _Scene:",
        "self._scene.move()",
        "a capability",
    ],
)
def test_a_retired_word_is_found_in_prose_and_in_names(text: str) -> None:
    assert len(find_retired(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "uncertainly, forever, unmistakable",
        "a blind spot in plain sight",
        "it looks at the row",
        "capabilities={}",
        "Listing blobs costs one call a page.",
        "WANTED = (3, 13)",
        "a filler, as wanted",
        "what is happening",
        "in this manner, behind a seam",
        "somebodyelse@example.org",
    ],
)
def test_an_ordinary_word_is_left_alone(text: str) -> None:
    assert find_retired(text) == []
