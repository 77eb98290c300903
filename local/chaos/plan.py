"""What a chaos run is made of: events, their deliveries, the triggers file, and the faults of POSTs, all from one seed.

The seed decides what is injected; which thread comes first is the machine's choice, as in production.
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
    """An event, as it is delivered.

    Attributes:
        id: Its id, as the ledger must have it.
        notification: What is delivered, for the worker.
        deliveries: How often.
    """

    id: str
    notification: dict[str, Any]
    deliveries: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return what a worker is told of it."""
        return {"id": self.id, "notification": self.notification}


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One delivery of an event.

    Attributes:
        happening: The event.
        worker: The slot of the worker that gets it.
        crash: The point at which that worker is killed; mostly none.
    """

    planned: PlannedEvent
    worker: int
    crash: str | None = None

    @classmethod
    def again(cls, command: Mapping[str, Any], *, worker: int) -> Delivery:
        """Make another delivery of what a worker was told, for a worker, without a crash."""
        return cls(
            planned=PlannedEvent(id=command["id"], notification=command["notification"]),
            worker=worker,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that happens, in its order.

    Attributes:
        happenings: The events.
        rounds: Deliveries; between two rounds the clock is moved on.
    """

    planned_events: Sequence[PlannedEvent]
    rounds: Sequence[Sequence[Delivery]] = field(repr=False)


def make_plan(options: ChaosOptions) -> Plan:
    """Make the events of a run, each delivered two to four times, in any order, to any worker.

    Args:
        options: How the run is made.
    """
    dice = random.Random(f"plan:{options.seed}")  # noqa: S311 — chance that can be repeated is the point
    planned_events = [_happening(options, number, dice) for number in range(options.events)]
    queue: list[PlannedEvent] = []
    for planned in planned_events:
        queue += [planned] * planned.deliveries
    dice.shuffle(queue)
    for _ in range(len(queue) // 8):
        # Some of the copies come at the very same moment.
        place = dice.randrange(len(queue))
        queue.insert(place, queue[place])
    deliveries = [
        Delivery(planned=planned, worker=dice.randrange(options.workers)) for planned in queue
    ]
    if options.only_crash is not None:
        return Plan(
            planned_events=planned_events, rounds=_one_crash(deliveries, options.only_crash)
        )
    _spread_crashes(deliveries, options, dice)
    size = -(-len(deliveries) // options.rounds)
    rounds = [deliveries[at : at + size] for at in range(0, len(deliveries), size)]
    return Plan(planned_events=planned_events, rounds=rounds)


def _one_crash(deliveries: Sequence[Delivery], point: str) -> list[list[Delivery]]:
    """Deliver one event alone to a worker that dies, and then again; all others before it."""
    victim = deliveries[0].planned
    copies = [one for one in deliveries if one.planned == victim]
    others = [one for one in deliveries if one.planned != victim]
    return [others, [replace(copies[0], crash=point)], copies[1:]]


def _spread_crashes(deliveries: list[Delivery], options: ChaosOptions, dice: random.Random) -> None:
    """Let some deliveries kill their worker."""
    # A crash point is reached only where something is sent: by a first delivery.
    seen: set[str] = set()
    firsts = []
    for place, delivery in enumerate(deliveries):
        if delivery.planned.id not in seen:
            seen.add(delivery.planned.id)
            firsts.append(place)
    points = [point for point in CRASH_POINTS for _ in range(options.kills)]
    places = dice.sample(firsts, min(len(points), len(firsts)))
    for place, point in zip(places, points, strict=False):
        deliveries[place] = replace(deliveries[place], crash=point)


def _happening(options: ChaosOptions, number: int, dice: random.Random) -> PlannedEvent:
    group = number % options.groups
    kind = dice.choices(("blob", "http", "schedule"), (5, 3, 2))[0]
    if options.only_crash is not None:
        kind = "blob"  # one experiment for all: a search counts only where it sees a neighbour
    event: Event
    if kind == "blob":
        notice = BlobNotification(
            trigger=f"blob-{group}",
            container=CONTAINER,
            path=f"incoming-{group}/{START.timestamp():.0f}-{number:06}.csv",
        )
        event = event_of(notice)
        notification = {"trigger": notice.trigger, "container": CONTAINER, "path": notice.path}
    elif kind == "http":
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
        id=deduplication_key(event), notification=notification, deliveries=dice.randint(2, 4)
    )


def read_notification(notification: dict[str, Any]) -> Event | BlobNotification:
    """Read what is delivered, on the worker's side."""
    return (
        load_event(notification["event"].encode())
        if "event" in notification
        else BlobNotification(**notification)
    )


def facts_by_name(connection: str, container: str, path: str) -> BlobFacts:  # noqa: ARG001 — a HEAD's signature
    """Answer a HEAD from the blob's name alone, the same in every process."""
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


def event_of(notice: BlobNotification) -> BlobEvent:
    """Return the event that `accept` makes of a notice."""
    facts = facts_by_name("", notice.container, notice.path)
    return BlobEvent(
        trigger=notice.trigger,
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
    """Write the triggers file: for each group a pipeline, and a trigger of every source with its own experiment.

    The schedules have no occurrence while the run lasts: theirs are delivered like all other events.

    Args:
        options: How the run is made.
        endpoints: The pipelines' endpoints, one a group.
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
        for kind, values in sources.items():
            document["triggers"][f"{kind}-{group}"] = {
                "pipeline": f"pipeline-{group}",
                "experiment": f"{kind}-{group}",
                **values,
            }
    # JSON is YAML, and says exactly what is meant.
    return json.dumps(document, indent=1)
