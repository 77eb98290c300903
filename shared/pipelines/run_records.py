"""Reads the runs that Azure ML's two services show: the pipelines service's entity and run history's record."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import UTC, datetime

from shared.core.redaction import redact
from shared.core.runs import FAILED, RunFacts, RunList
from shared.pipelines.service_json import (
    error_of,
    get_value,
    load_json,
    read_status,
    run_id_of,
    text_of,
)

CORRELATION_KEY = "submission"
"""The name of the tag and of the property that hold a run's correlation id (`[A-Za-z0-9_-]` only)."""

MAX_LIST_BYTES = 64 * 1024 * 1024
"""The most that a pipeline's own list of runs may have. It has no pages, and a run takes a few KiB."""

MAX_RUN_CHARACTERS = 1024 * 1024
"""The most that one run of the list may have, and an answer that is no list."""

_DECODER = json.JSONDecoder()
_NOT_BLANK = re.compile(r"\S")


def read_run(content: bytes) -> RunFacts | None:
    """Return the run that a body shows, or None if it shows none."""
    return _run(load_json(content))


def read_runs(content: bytes) -> RunList | None:
    """Return the runs that a body lists, or None if it is no list.

    Child runs are left out: they may carry what their parent carries.
    """
    value = load_json(content)
    more = get_value(value, "continuationtoken")
    if isinstance(value, dict):
        value = get_value(value, "value")
    if not isinstance(value, list):
        return None
    runs = [_run(item) for item in value if get_value(item, "parentrunid") is None]
    return RunList(
        runs=tuple(run for run in runs if run is not None), complete=not more and None not in runs
    )


def keep_runs(chunks: Iterable[bytes], correlation_ids: Collection[str]) -> bytes:
    """Return a JSON list of runs without those that carry none of these correlation ids.

    One run is in memory at a time, however long the list is. Whatever is not a list is returned as it is.

    Args:
        chunks: The body.
        correlation_ids: Whose runs to keep. A run that cannot be read is kept, too.

    Raises:
        ValueError: The list is cut off, or it, one of its runs, or the body that is no list is too large.
    """
    texts = _decode(chunks)
    start = ""
    for text in texts:
        start += text
        if start.strip():
            break
    if not start.lstrip().startswith("["):
        return "".join([start, *_bounded(texts, MAX_RUN_CHARACTERS - len(start))]).encode()
    kept = []
    for item in _ListReader(start, texts):
        run = _run(item)
        if run is None or run.correlation_id in correlation_ids:
            kept.append(item)
    return json.dumps(kept).encode()


def _decode(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield a body's text, at most `MAX_LIST_BYTES` of it."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    left = MAX_LIST_BYTES
    for chunk in chunks:
        left -= len(chunk)
        if left < 0:
            raise ValueError(f"the list has more than {MAX_LIST_BYTES} bytes")
        yield decoder.decode(chunk)
    yield decoder.decode(b"", final=True)


def _bounded(texts: Iterable[str], limit: int) -> Iterator[str]:
    for text in texts:
        limit -= len(text)
        if limit < 0:
            raise ValueError(f"the answer has more than {MAX_RUN_CHARACTERS} characters")
        yield text


class _ListReader:
    """Reads the values of a JSON list one after the other, and holds one of them at a time.

    Args:
        text: The beginning, with the opening bracket.
        texts: The rest.
    """

    def __init__(self, text: str, texts: Iterator[str]) -> None:
        self._text = text
        self._texts = texts
        self._at = text.index("[") + 1

    def __iter__(self) -> Iterator[object]:
        while self._peek() != "]":
            yield self._value()
            if self._peek() == ",":
                self._at += 1
            elif self._peek() != "]":
                raise ValueError("the list is not JSON")
        if self._text[self._at + 1 :].strip() or any(text.strip() for text in self._texts):
            raise ValueError("something follows the list")

    def _peek(self) -> str:
        """Return the next character that is not blank."""
        while (found := _NOT_BLANK.search(self._text, self._at)) is None:
            self._read_on()
        self._at = found.start()
        return found[0]

    def _value(self) -> object:
        while True:
            try:
                value, self._at = _DECODER.raw_decode(self._text, self._at)
            except ValueError:
                self._read_on()
            except RecursionError as error:
                raise ValueError("a run of the list is nested too deeply") from error
            else:
                return value

    def _read_on(self) -> None:
        """Read at least as much as is unread, so that decoding an incomplete value again costs linear time in all."""
        unread = self._text[self._at :]
        if len(unread) > MAX_RUN_CHARACTERS:
            raise ValueError(f"a run of the list has more than {MAX_RUN_CHARACTERS} characters")
        more = ""
        while len(more) <= len(unread):
            text = next(self._texts, None)
            if text is None:
                break
            more += text
        if not more:
            raise ValueError("the list is cut off, or it is not JSON")
        self._text, self._at = unread + more, 0


def _run(record: object) -> RunFacts | None:
    run_id = run_id_of(record) or run_id_of(record, name="runid")
    if run_id is None:
        return None
    status = get_value(record, "status")
    word = read_status(status)
    detail = None
    if isinstance(status, dict):
        detail = text_of(get_value(status, "statusdetail"))
        status = get_value(status, "statuscode")
    word = word or redact(str(status), limit=100)
    error = get_value(record, "error")
    code, message = error_of(error if get_value(error, "error") else {"error": error})
    created = get_value(record, "createdutc") or get_value(record, "createddate")
    return RunFacts(
        id=run_id,
        status=word,
        created=_instant(created),
        error=(message or code or detail) if word in FAILED else None,
        correlation_id=_correlation_id(record),
    )


def _correlation_id(record: object) -> str | None:
    """Return a run's correlation id. A property never changes, and anybody can change a tag: the property wins."""
    for field in ("properties", "tags"):
        found = get_value(get_value(record, field), CORRELATION_KEY)
        if isinstance(found, str):
            return found
    return None


def _instant(text: object) -> datetime | None:
    """Return an instant in UTC, or None if the text is none: not even in the years 1 or 9999 of another zone."""
    try:
        found = datetime.fromisoformat(text) if isinstance(text, str) else None
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC) if found else None
    except (ValueError, OverflowError):
        return None
