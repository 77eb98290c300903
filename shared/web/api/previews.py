"""Reads the event of a preview request for each trigger."""

from __future__ import annotations

import json
from datetime import datetime

from shared.config.model import BlobSource, Config, HttpSource, ScheduleSource, Trigger
from shared.core.errors import InvalidRequest, Problem, RequestTooLarge
from shared.core.events import BlobNotification, Ignored, ScheduleEvent
from shared.operations.preview import PreviewSubject
from shared.web.api.models import PreviewBody
from shared.web.api.requests import read_event, read_time
from shared.web.exchange import Request


def check_preview(body: PreviewBody) -> None:
    """Check that a body has exactly one event.

    Raises:
        InvalidRequest: The body has no event, or several.
    """
    count = sum(part is not None for part in (body.blob, body.time, body.request))
    if count != 1:
        message = f"found {count} of `blob`, `time` and `request`; expected exactly one"
        raise InvalidRequest(
            "the preview needs one event", problems=[Problem(where="body", message=message)]
        )


def subject_for(
    config: Config, trigger: Trigger, body: PreviewBody, *, now: datetime
) -> PreviewSubject:
    """Return the event that a trigger would receive.

    Args:
        config: The triggers file.
        trigger: The trigger.
        body: The preview's body.
        now: The current time (timezone-aware).

    Returns:
        The event. `Ignored` if the trigger has another source, or if `submit` would refuse the request.

    Raises:
        InvalidRequest: The body's time cannot be parsed.
    """
    source = trigger.source
    if body.blob is not None and isinstance(source, BlobSource):
        container = body.blob.container or source.datastore.container
        return BlobNotification(trigger=trigger.name, container=container, path=body.blob.path)
    if body.time is not None:
        # Parsed for triggers of every source, so that an invalid time is an error in every case.
        time = read_time(body.time, where="time")
        if isinstance(source, ScheduleSource):
            return ScheduleEvent(trigger=trigger.name, time=time)
    if body.request is not None and isinstance(source, HttpSource):
        data = json.dumps(body.request.body, ensure_ascii=False).encode()
        request = Request(url="", query=body.request.query, body=data)
        try:
            return read_event(config, trigger, request, now=now)
        except (InvalidRequest, RequestTooLarge) as error:
            # The request may fit another trigger. Each trigger tells its own first invalid field.
            first = error.problems[0] if error.problems else None
            reason = f"{first.where}: {first.message}" if first else str(error)
            return Ignored(
                reason=reason, condition="request", value=first.where if first else "body"
            )
    return Ignored(
        reason=f"trigger {trigger.name} starts from a {source.source}",
        condition="source",
        value=source.source,
    )
