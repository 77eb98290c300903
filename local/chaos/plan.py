"""The plan of a chaos run: its events, their deliveries and the triggers file, all derived from one seed.

The seed decides what is delivered and injected. The operating system decides which thread comes first, as in
production.
"""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from local.chaos.options import CRASH_POINTS, START, ChaosOptions
from shared.core.events import (
    BlobEvent,
    BlobFacts,
    BlobNotification,
    Event,
    HttpEvent,
    ScheduleEvent,
    deduplication_key,
    dump_event,
    load_event,
)

ACCOUNT = "lake"
CONTAINER = "data"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEvent:
    """An event of the plan and how it is delivered."""

    id: str
    """The deduplication key that the ledger must have for it."""
    notification: dict[str, Any]
    """The content of a delivery. `read_notification` reads it in the worker."""
    deliveries: int = 1
    """How often the event is delivered."""

    def to_json(self) -> dict[str, Any]:
        """Return the part of it that a worker receives."""
        return {"id": self.id, "notification": self.notification}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery of an event."""

    event: PlannedEvent
    """The event."""
    worker: int
    """The slot of the worker that gets the delivery."""
    crash: str | None = None
    """The crash point at which that worker is killed, or None for no crash."""

    @classmethod
    def repeat(cls, command: Mapping[str, Any], *, worker: int) -> Delivery:
        """Return another delivery of the event in `command`, without a crash.

        Args:
            command: A `deliver` command that a worker received.
            worker: The slot of the worker that gets the new delivery.
        """
        return cls(
            event=PlannedEvent(id=command["id"], notification=command["notification"]),
            worker=worker,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ChaosPlan:
    """The events of a run and their deliveries, in order."""

    events: Sequence[PlannedEvent]
    """The events."""
    rounds: Sequence[Sequence[Delivery]] = field(repr=False)
    """The deliveries of each round. The clock advances between two rounds."""


def make_plan(options: ChaosOptions) -> ChaosPlan:
    """Return the plan of a run: each event is delivered at least two times, in random order, to random workers."""
    chance = random.Random(f"plan:{options.seed}")  # noqa: S311 — it must be repeatable
    events = [_plan_event(options, number, chance) for number in range(options.events)]
    queue: list[PlannedEvent] = []
    for event in events:
        queue += [event] * event.deliveries
    chance.shuffle(queue)
    for _ in range(len(queue) // 8):
        # Two copies next to each other are delivered at the same moment.
        index = chance.randrange(len(queue))
        queue.insert(index, queue[index])
    deliveries = [
        Delivery(event=event, worker=chance.randrange(options.workers)) for event in queue
    ]
    if options.only_crash is not None:
        return ChaosPlan(events=events, rounds=_plan_one_crash(deliveries, options.only_crash))
    _spread_crashes(deliveries, options, chance)
    size = -(-len(deliveries) // options.rounds)
    rounds = [deliveries[at : at + size] for at in range(0, len(deliveries), size)]
    return ChaosPlan(events=events, rounds=rounds)


def _plan_one_crash(deliveries: Sequence[Delivery], point: str) -> list[list[Delivery]]:
    """Return three rounds: all other events, then one event alone with a crash, then its other deliveries."""
    crashing = deliveries[0].event
    copies = [one for one in deliveries if one.event == crashing]
    others = [one for one in deliveries if one.event != crashing]
    return [others, [replace(copies[0], crash=point)], copies[1:]]


def _spread_crashes(
    deliveries: list[Delivery], options: ChaosOptions, chance: random.Random
) -> None:
    """Give a crash point to some of the deliveries."""
    # Only an event's first delivery sends a POST, so only that one reaches every crash point.
    seen: set[str] = set()
    firsts = []
    for index, delivery in enumerate(deliveries):
        if delivery.event.id not in seen:
            seen.add(delivery.event.id)
            firsts.append(index)
    points = [point for point in CRASH_POINTS for _ in range(options.crashes_per_point)]
    chosen = chance.sample(firsts, min(len(points), len(firsts)))
    for index, point in zip(chosen, points, strict=False):
        deliveries[index] = replace(deliveries[index], crash=point)


def _plan_event(options: ChaosOptions, number: int, chance: random.Random) -> PlannedEvent:
    group = number % options.groups
    source = chance.choices(("blob", "http", "schedule"), (5, 3, 2))[0]
    if options.only_crash is not None:
        # One experiment for all events: a search is conclusive only if it shows a reference run there.
        source = "blob"
    event: Event
    if source == "blob":
        blob = BlobNotification(
            trigger=f"blob-{group}",
            container=CONTAINER,
            path=f"incoming-{group}/{START.timestamp():.0f}-{number:06}.csv",
        )
        event = event_of(blob)
        notification = {"trigger": blob.trigger, "container": CONTAINER, "path": blob.path}
    elif source == "http":
        event = HttpEvent(
            trigger=f"http-{group}",
            time=START,
            key=("key", f"order-{number}"),
            body={"day": f"day {number}"},
        )
        notification = {"event": dump_event(event).decode()}
    else:
        event = ScheduleEvent(trigger=f"schedule-{group}", time=START + timedelta(seconds=number))
        notification = {"event": dump_event(event).decode()}
    return PlannedEvent(
        id=deduplication_key(event), notification=notification, deliveries=chance.randint(2, 4)
    )


def read_notification(notification: dict[str, Any]) -> Event | BlobNotification:
    """Return the event or blob notification of a delivery."""
    return (
        load_event(notification["event"].encode())
        if "event" in notification
        else BlobNotification(**notification)
    )


def facts_by_name(connection: str, container: str, path: str) -> BlobFacts:  # noqa: ARG001 — a HEAD's signature
    """Return the facts of a blob, derived from its name alone, so that every process answers a HEAD the same way."""
    written = int(path.rpartition("/")[2].partition("-")[0])
    return BlobFacts(
        account=ACCOUNT,
        container=container,
        path=path,
        url=f"https://{ACCOUNT}.blob.core.windows.net/{container}/{path}",
        etag="0x" + hashlib.sha256(path.encode()).hexdigest()[:15].upper(),
        size=3,
        last_modified=datetime.fromtimestamp(written, UTC),
    )


def event_of(notification: BlobNotification) -> BlobEvent:
    """Return the event that `accept` makes of a blob notification."""
    facts = facts_by_name("", notification.container, notification.path)
    return BlobEvent(
        trigger=notification.trigger,
        account=facts.account,
        container=facts.container,
        path=facts.path,
        url=facts.url,
        etag=facts.etag,
        size=facts.size,
        last_modified=facts.last_modified,
        metadata=facts.metadata,
    )


def triggers_file(options: ChaosOptions, *, endpoints: Sequence[str]) -> str:
    """Return the text of the triggers file: for each group a pipeline and a trigger of each source.

    Each trigger has its own experiment.

    The schedules have no occurrence during the run. The harness delivers schedule events like all other events.

    Args:
        options: The options of the run.
        endpoints: The endpoints of the pipelines, one for each group.
    """
    document: dict[str, Any] = {
        "datastores": {"lake": {"connection": "DataStorage", "container": CONTAINER}},
        "pipelines": {
            f"pipeline-{group}": {"kind": "published_pipeline", "endpoint": endpoint}
            for group, endpoint in enumerate(endpoints)
        },
        "triggers": {},
    }
    for group in range(options.groups):
        sources: dict[str, dict[str, Any]] = {
            "blob": {
                "blob": {"datastore": "lake", "path": f"incoming-{group}", "start": "beginning"},
                "data_paths": {"input": "{{ blob.path }}"},
            },
            "http": {"http": {}, "parameters": {"day": "{{ http.body.day }}"}},
            "schedule": {
                "schedule": {"cron": "0 0 24 12 *"},
                "parameters": {"time": "{{ schedule.time }}"},
            },
        }
        for source, values in sources.items():
            document["triggers"][f"{source}-{group}"] = {
                "pipeline": f"pipeline-{group}",
                "experiment": f"{source}-{group}",
                **values,
            }
    # JSON is YAML without its ambiguities.
    return json.dumps(document, indent=1)
