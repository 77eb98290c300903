"""Events: an occurrence of a schedule, a version of a blob, an HTTP request. Each has a deduplication key.

The key decides which deliveries are the same event, so its recipe never changes: the first 32 hex digits of SHA-256
over a JSON array. `tests/unit/core/test_events.py` holds ten keys fixed.
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
"""The largest body of a request. A stored event is one property of 64 KiB, with room for its other fields."""


class Source(StrEnum):
    """The kind of event that a trigger starts from."""

    SCHEDULE = "schedule"
    """An occurrence of a schedule."""
    BLOB = "blob"
    """A blob that was added or modified."""
    HTTP = "http"
    """An HTTP request."""


class Metadata(Mapping[str, str]):
    """A blob's metadata for templates. Names are found in any casing, as in Azure Storage."""

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
    """An occurrence of a schedule."""

    trigger: str
    """The trigger's name."""
    time: datetime
    """The scheduled time in UTC. A tick may see it later."""
    window_start: datetime | None = None
    """The occurrence before this one. None: there is none."""
    time_zone: str = "UTC"
    """The IANA name of the schedule's zone."""

    @property
    def source(self) -> Source:
        """The kind of this event."""
        return Source.SCHEDULE

    @property
    def identity(self) -> list[str]:
        """The parts of the deduplication key. They are the same for every delivery of the event."""
        return [self.source, self.trigger, print_instant(self.time)]

    def names(self) -> dict[str, Any]:
        """Return the values that templates may name."""
        # Imported here, since a cold start that renders no schedule does not need it.
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
        """Return the event as the ledger keeps it."""
        record = {"trigger": self.trigger, "time": print_instant(self.time)}
        if self.window_start is not None:
            record["window_start"] = print_instant(self.window_start)
        return {**record, "time_zone": self.time_zone}


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobEvent:
    """A version of a blob, with the properties that the app read itself."""

    trigger: str
    """The trigger's name."""
    account: str
    """The storage account's name."""
    container: str
    """The container's name."""
    path: str
    """The blob's full name in its container, not percent-encoded."""
    url: str
    """The blob's address, percent-encoded, without a SAS query."""
    etag: str
    """The version's ETag, without quotes."""
    size: int
    """The size in bytes."""
    last_modified: datetime
    """When this version was written."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The blob's metadata."""

    @property
    def source(self) -> Source:
        """The kind of this event."""
        return Source.BLOB

    @property
    def time(self) -> datetime:
        """The event's time: when this version was written."""
        return self.last_modified

    @property
    def identity(self) -> list[str]:
        """The parts of the deduplication key. They are the same for every delivery of the event."""
        return [self.source, self.trigger, self.account, self.container, self.path, self.etag]

    def names(self) -> dict[str, Any]:
        """Return the values that templates may name."""
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
        """Return the event as the ledger keeps it."""
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
    """A request for a run. It holds no header, so that keys, cookies and tokens never reach the ledger."""

    trigger: str
    """The trigger's name."""
    time: datetime
    """When the request came."""
    key: tuple[str, ...]
    """The request's identity.

    It is `("key", <Idempotency-Key>)`, `("logic-apps", <workflow run id>, <operation>)` or `("new", <random>)`.
    """
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The parameters that the caller set."""
    data_paths: Mapping[str, Any] = field(default_factory=dict)
    """The data paths that the caller set.

    Each is text (a path in the datastore that the file names), or `{"datastore": …, "path": …}`.
    """
    experiment: str | None = None
    """The experiment that the caller set."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """The other keys of the body: those that the trigger's templates use."""
    query: Mapping[str, str] = field(default_factory=dict)
    """The query parameters that the trigger's templates use."""

    @property
    def source(self) -> Source:
        """The kind of this event."""
        return Source.HTTP

    @property
    def identity(self) -> list[str]:
        """The parts of the deduplication key. They are the same for every delivery of the event."""
        return [self.source, self.trigger, *self.key]

    @property
    def asked(self) -> dict[str, Any]:
        """The values that the caller set. Two requests with the same key must agree on them."""
        return {
            "parameters": dict(self.parameters),
            "data_paths": dict(self.data_paths),
            "experiment": self.experiment,
            "body": dict(self.body),
            "query": dict(self.query),
        }

    @property
    def fingerprint(self) -> str:
        """The values that the caller set, as text to compare. `1`, `1.0`, `true` and `"1"` are four values."""
        return json.dumps(self.asked, sort_keys=True)

    def names(self) -> dict[str, Any]:
        """Return the values that templates may name."""
        return {"http": {"body": self.body, "query": self.query}}

    def to_json(self) -> dict[str, Any]:
        """Return the event as the ledger keeps it."""
        return {
            "trigger": self.trigger,
            "time": print_instant(self.time),
            "key": list(self.key),
            **self.asked,
        }


type Event = ScheduleEvent | BlobEvent | HttpEvent


def deduplication_key(event: Event) -> str:
    """Return an event's deduplication key: 32 hex digits, the same for every delivery."""
    text = json.dumps(
        [str(part) for part in event.identity], ensure_ascii=True, separators=(",", ":")
    )
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


def dump_event(event: Event) -> bytes:
    """Return an event as UTF-8 JSON for the ledger."""
    record = {"source": event.source.value, **event.to_json()}
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def load_event(data: bytes) -> Event:
    """Read an event that `dump_event` wrote.

    Raises:
        ValueError: The data is not an event that this version of the app knows.
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
    """The properties of a blob as it is now."""

    account: str
    """The storage account's name."""
    container: str
    """The container's name."""
    path: str
    """The blob's full name in its container, not percent-encoded."""
    url: str
    """The blob's address, percent-encoded, without a SAS query."""
    etag: str
    """The version's ETag, without quotes."""
    size: int
    """The size in bytes."""
    last_modified: datetime
    """When this version was written (timezone-aware)."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """The blob's metadata."""

    @property
    def is_folder(self) -> bool:
        """Whether the blob marks a folder. Data Lake Storage and its tools write such blobs."""
        lowered = {name.lower(): value for name, value in self.metadata.items()}
        return lowered.get("hdi_isfolder", "").lower() == "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobNotification:
    """The notification that a blob was added or modified.

    It carries names, and maybe the version that it is about. The app reads the blob's properties itself, so that every
    instance computes the same key.
    """

    trigger: str
    """The trigger's name."""
    container: str
    """The container's name."""
    path: str
    """The blob's full name in its container, not percent-encoded."""
    etag: str | None = None
    """The ETag of the version that was added, with or without quotes. None: the notification does not say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """The result of an event that starts nothing."""

    reason: str
    """Why, in one sentence."""
    condition: str
    """The first condition that failed, in one word. If the triggers file has a key for it, it is that key."""
    value: str
    """The event's value that did not meet the condition."""
