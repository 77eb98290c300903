"""What happened: an occurrence of a schedule, a version of a blob, a request; and the id of each.

The id decides what "the same event" means, so its recipe never changes: the first 32 hex digits of SHA-256 over
a JSON array. Ten ids are pinned in `tests/unit/core/test_events.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.core.times import print_instant, read_instant

MAX_HTTP_BODY_BYTES = 48 * 1024
"""A stored event must fit a binary table property of 64 KiB, with room for what surrounds the body."""


class Source(StrEnum):
    """What a trigger starts from."""

    SCHEDULE = "schedule"
    """A time comes."""
    BLOB = "blob"
    """A blob is added or modified."""
    HTTP = "http"
    """Somebody calls."""


class Metadata(Mapping[str, str]):
    """A blob's metadata for templates: names whatever their casing, as in Azure Storage."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = {name.lower(): value for name, value in values.items()}

    def __getitem__(self, name: str) -> str:
        return self._values[name.lower()]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleEvent:
    """An occurrence of a schedule.

    Attributes:
        trigger: The trigger's name.
        time: The scheduled instant in UTC, not when somebody noticed.
        window_start: The occurrence before this one; None where there is none.
        time_zone: The IANA name of the schedule's zone.
    """

    trigger: str
    time: datetime
    window_start: datetime | None = None
    time_zone: str = "UTC"

    @property
    def source(self) -> Source:
        """The kind of event."""
        return Source.SCHEDULE

    @property
    def identity(self) -> list[str]:
        """What makes it the same event, whichever notification brings it."""
        return [self.source, self.trigger, print_instant(self.time)]

    def names(self) -> dict[str, Any]:
        """Return what templates may name."""
        from zoneinfo import ZoneInfo

        names = {
            "time": self.time,
            "local_time": self.time.astimezone(ZoneInfo(self.time_zone)),
            "window_end": self.time,
        }
        if self.window_start is not None:
            names["window_start"] = self.window_start
        return {"schedule": names}

    def to_json(self) -> dict[str, Any]:
        """Return what the ledger keeps."""
        record = {"trigger": self.trigger, "time": print_instant(self.time)}
        if self.window_start is not None:
            record["window_start"] = print_instant(self.window_start)
        return {**record, "time_zone": self.time_zone}


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobEvent:
    """A version of a blob, as our own HEAD saw it.

    Attributes:
        trigger: The trigger's name.
        account: The storage account's name.
        container: The container's name.
        path: The blob's whole name below the container, raw.
        url: Its address, percent-encoded, without any SAS query.
        etag: The version, without quotes.
        size: Bytes.
        last_modified: When this version was written.
        metadata: The blob's own metadata.
    """

    trigger: str
    account: str
    container: str
    path: str
    url: str
    etag: str
    size: int
    last_modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> Source:
        """The kind of event."""
        return Source.BLOB

    @property
    def time(self) -> datetime:
        """When it happened: when this version was written."""
        return self.last_modified

    @property
    def identity(self) -> list[str]:
        """What makes it the same event, whichever notification brings it."""
        return [self.source, self.trigger, self.account, self.container, self.path, self.etag]

    def names(self) -> dict[str, Any]:
        """Return what templates may name."""
        return {
            "blob": {
                "name": self.path.rpartition("/")[2],
                "path": self.path,
                "container": self.container,
                "url": self.url,
                "etag": self.etag,
                "size": self.size,
                "last_modified": self.last_modified,
                "metadata": Metadata(self.metadata),
            }
        }

    def to_json(self) -> dict[str, Any]:
        """Return what the ledger keeps."""
        return {
            "trigger": self.trigger,
            "account": self.account,
            "container": self.container,
            "path": self.path,
            "url": self.url,
            "etag": self.etag,
            "size": self.size,
            "last_modified": print_instant(self.last_modified),
            "metadata": dict(self.metadata),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpEvent:
    """A request that asked for a run. It holds no header: keys, cookies and tokens never reach the ledger.

    Attributes:
        trigger: The trigger's name.
        time: When it came.
        key: What makes it the same request: `["key", <Idempotency-Key>]`,
            `["logic-apps", <workflow run id>, <operation>]` or `["new", <random>]`.
        parameters: Parameters the caller set.
        data_paths: Data paths the caller set: text (a path in the datastore that the file names), or
            `{"datastore": …, "path": …}`.
        experiment: The experiment the caller asked for.
        body: The other keys of the body: those that the trigger's templates use.
        query: The query's values that the trigger's templates use.
    """

    trigger: str
    time: datetime
    key: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)
    data_paths: Mapping[str, Any] = field(default_factory=dict)
    experiment: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)

    @property
    def source(self) -> Source:
        """The kind of event."""
        return Source.HTTP

    @property
    def identity(self) -> list[str]:
        """What makes it the same event, whichever notification brings it."""
        return [self.source, self.trigger, *self.key]

    @property
    def asked(self) -> dict[str, Any]:
        """What the caller asked for: two requests with one key must agree on it."""
        return {
            "parameters": dict(self.parameters),
            "data_paths": dict(self.data_paths),
            "experiment": self.experiment,
            "body": dict(self.body),
            "query": dict(self.query),
        }

    @property
    def fingerprint(self) -> str:
        """What the caller asked for, as comparable text: `1`, `1.0`, `true` and `"1"` are four things."""
        return json.dumps(self.asked, sort_keys=True)

    def names(self) -> dict[str, Any]:
        """Return what templates may name."""
        return {"http": {"body": self.body, "query": self.query}}

    def to_json(self) -> dict[str, Any]:
        """Return what the ledger keeps."""
        return {
            "trigger": self.trigger,
            "time": print_instant(self.time),
            "key": list(self.key),
            **self.asked,
        }


type Event = ScheduleEvent | BlobEvent | HttpEvent


def deduplication_key(event: Event) -> str:
    """Return the id of an event: 32 hex digits, the same for every delivery of it."""
    text = json.dumps(
        [str(part) for part in event.identity], ensure_ascii=True, separators=(",", ":")
    )
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


def dump_event(event: Event) -> bytes:
    """Write an event for the ledger, as UTF-8 JSON."""
    record = {"source": event.source.value, **event.to_json()}
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def load_event(data: bytes) -> Event:
    """Read an event back from the ledger.

    Raises:
        ValueError: Not an event that this version of the app knows.
    """
    try:
        record = json.loads(data)
        source = Source(record.pop("source"))
        if source is Source.BLOB:
            record["last_modified"] = read_instant(record["last_modified"])
            return BlobEvent(**record)
        record["time"] = read_instant(record["time"])
        if source is Source.SCHEDULE:
            if "window_start" in record:
                record["window_start"] = read_instant(record["window_start"])
            return ScheduleEvent(**record)
        record["key"] = tuple(record["key"])
        return HttpEvent(**record)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a stored event: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobFacts:
    """A blob as it is now.

    Attributes:
        account: The storage account's name.
        container: The container's name.
        path: The blob's whole name below the container, raw.
        url: Its address, percent-encoded, without any SAS query.
        etag: The version, without quotes.
        size: Bytes.
        last_modified: When this version was written; aware.
        metadata: The blob's own metadata.
    """

    account: str
    container: str
    path: str
    url: str
    etag: str
    size: int
    last_modified: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder marker, as Data Lake Storage and its tools write them."""
        lowered = {name.lower(): value for name, value in self.metadata.items()}
        return lowered.get("hdi_isfolder", "").lower() == "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobNotification:
    """Somebody says that a blob was added or modified: only names, all else is for our own HEAD to find out."""

    trigger: str
    container: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """The event starts nothing.

    Attributes:
        reason: One sentence.
        condition: The first condition that failed, in one word: a key of the triggers file where there is one.
        value: What was held against it.
    """

    reason: str
    condition: str
    value: str
