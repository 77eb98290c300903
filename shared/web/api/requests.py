"""Reads a request's body into an event, and reports every invalid field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import BaseModel
from pydantic import ValidationError as PydanticError

from shared.config.model import BlobSource, Config, HttpSource, Trigger
from shared.config.templates.names import RESERVED_BODY_NAMES
from shared.core.errors import InvalidRequest, Problem, WrongSource
from shared.core.events import BlobNotification, HttpEvent, ScheduleEvent
from shared.core.suggestions import did_you_mean
from shared.core.times import read_instant
from shared.web.api.models import RunNowBody, SubmissionBody
from shared.web.exchange import Request
from shared.web.idempotency import read_request_key
from shared.web.problems import cut
from shared.web.strict_json import read_body_object

MAX_PROBLEMS = 50
"""Invalid fields that one problem lists."""

FIRST_YEAR, LAST_YEAR = 2000, 2199
"""Years that a schedule can be meant for. Time zone arithmetic fails at the ends of Python's calendar."""

YEARS = f"from {FIRST_YEAR} to {LAST_YEAR}"

_EXPECTED = {
    "parameters": "expected text, a number, true or false",
    "data_paths": 'expected a path as text, or {"datastore": …, "path": …} with both as text',
    "experiment": "expected text that is not empty",
}


def read_event(config: Config, trigger: Trigger, request: Request, *, now: datetime) -> HttpEvent:
    """Return a request to an `http` trigger as an event.

    The event has no header except `Idempotency-Key` and the Logic Apps headers. It has only the query parameters that
    the trigger's templates use. Keys, cookies and tokens therefore never reach the ledger.

    Args:
        config: The triggers file.
        trigger: The trigger.
        request: The request.
        now: The current time (timezone-aware).

    Raises:
        WrongSource: The trigger has another source.
        RequestTooLarge: The body is larger than 48 KiB.
        InvalidRequest: Some fields are invalid. The error lists each.
    """
    source = trigger.source
    if not isinstance(source, HttpSource):
        raise _wrong_source(trigger)
    content = read_body_object(request.body)
    body, problems = _read_body(content)
    extra = {name: value for name, value in content.items() if name not in RESERVED_BODY_NAMES}
    problems += [*_unlisted(config, trigger, source, body), *_unknown(extra, source.body_names)]
    if problems:
        raise InvalidRequest("the request has invalid fields", problems=problems)
    return HttpEvent(
        trigger=trigger.name,
        time=now,
        key=read_request_key(request.headers),
        parameters=body.parameters,
        data_paths={
            name: value if isinstance(value, str) else value.model_dump()
            for name, value in body.data_paths.items()
        },
        experiment=body.experiment,
        body=extra,
        query={name: request.query[name] for name in source.query_names if name in request.query},
    )


def read_run_now(
    trigger: Trigger, request: Request, *, now: datetime
) -> ScheduleEvent | BlobNotification | None:
    """Return the event of a `run_now` request, or None for an `http` trigger, which needs none.

    Args:
        trigger: The trigger.
        request: The request.
        now: The current time (timezone-aware).

    Raises:
        WrongSource: The body does not have `"run_now": true`.
        RequestTooLarge: The body is larger than 48 KiB.
        InvalidRequest: Some fields are invalid. The error lists each.
    """
    source = trigger.source
    if isinstance(source, HttpSource):
        return None
    content = read_body_object(request.body)
    if "run_now" not in content:
        raise _wrong_source(trigger)
    body = read_body(RunNowBody, content)
    if isinstance(source, BlobSource):
        if body.blob is None or body.time is not None:
            raise _invalid_run_now("blob", "a blob trigger needs `blob` and does not accept `time`")
        container = source.datastore.container
        return BlobNotification(trigger=trigger.name, container=container, path=body.blob)
    if body.blob is not None:
        raise _invalid_run_now("blob", "a schedule trigger does not accept `blob`; send `time`")
    this_minute = now.replace(second=0, microsecond=0)
    time = this_minute if body.time is None else read_time(body.time, where="time")
    if time > this_minute:
        raise _invalid_run_now("time", "found a time in the future; expected now or earlier")
    return ScheduleEvent(trigger=trigger.name, time=time)


def read_body[M: BaseModel](model: type[M], content: Mapping[str, Any]) -> M:
    """Check a JSON object against a model.

    Raises:
        InvalidRequest: Some fields are invalid. The error lists each, up to 50.
    """
    try:
        return model.model_validate(content)
    except PydanticError as error:
        problems = [
            Problem(
                where=".".join(cut(str(part)) for part in item["loc"]) or "body",
                message=_field_error(model, item["type"], item["loc"], item["msg"]),
            )
            for item in error.errors(include_url=False, include_input=False)[:MAX_PROBLEMS]
        ]
        raise InvalidRequest("the body has invalid fields", problems=problems) from error


def _field_error(
    model: type[BaseModel], error_type: str, location: Sequence[int | str], message: str
) -> str:
    """Return the message for a field that pydantic rejects, in this app's words if they are more exact."""
    if error_type != "extra_forbidden":
        return message
    if len(location) > 1:
        return "unknown key; remove it"
    return _unknown_key(str(location[0]), model.model_fields)


def read_time(text: str, *, where: str) -> datetime:
    """Parse a time and cut it to the minute.

    Args:
        text: The time.
        where: The field, for the message.

    Raises:
        InvalidRequest: The text is not a time with an offset, or its year is out of range.
    """
    try:
        time = read_instant(text).replace(second=0, microsecond=0)
        check_year(time)
    except (ValueError, OverflowError) as error:
        message = (
            f"found {cut(text)}; expected a time with an offset, such as 2027-03-27T01:30:00Z, "
            f"in a year {YEARS}"
        )
        raise InvalidRequest(
            "the body has invalid fields",
            problems=[Problem(where=where, message=message)],
        ) from error
    return time


def check_year(time: datetime) -> None:
    """Check that a schedule can be meant for a time's year.

    Raises:
        ValueError: The year is before 2000 or after 2199.
    """
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise ValueError(f"found the year {time.year}; expected a year {YEARS}")


def _wrong_source(trigger: Trigger) -> WrongSource:
    return WrongSource(
        f"trigger {trigger.name} starts from a {trigger.source.source}, not from an HTTP call; "
        'to start it now, send "run_now": true'
    )


def _invalid_run_now(where: str, message: str) -> InvalidRequest:
    return InvalidRequest(
        "the trigger cannot start with these fields",
        problems=[Problem(where=where, message=message)],
    )


def _read_body(content: Mapping[str, Any]) -> tuple[SubmissionBody, list[Problem]]:
    """Return the reserved keys of a body without the fields of a wrong type, and a problem for each such field."""
    reserved = {name: value for name, value in content.items() if name in RESERVED_BODY_NAMES}
    problems: list[Problem] = []
    try:
        body = SubmissionBody.model_validate(reserved)
    except PydanticError as error:
        # A union reports one error for each of its types. The first two parts name the field.
        fields = list(dict.fromkeys(tuple(map(str, item["loc"][:2])) for item in error.errors()))
        problems = [_wrong_type(field) for field in fields]
        # The other fields are read all the same, so that one reply lists every invalid field.
        body = SubmissionBody.model_validate(_without(reserved, fields))
    if body.experiment is not None and not body.experiment.strip():
        problems.append(_wrong_type(("experiment",)))
    return body, problems


def _without(content: Mapping[str, Any], fields: Iterable[tuple[str, ...]]) -> dict[str, Any]:
    """Return a body without some fields, each given as its key, or as its key and a name below."""
    left = dict(content)
    for key, *names in fields:
        if names and key in left:
            left[key] = {name: value for name, value in left[key].items() if name not in names}
        else:
            left.pop(key, None)
    return left


def _wrong_type(field: tuple[str, ...]) -> Problem:
    key = field[0]
    is_map = len(field) == 1 and key != "experiment"
    message = "expected an object of names and values" if is_map else _EXPECTED[key]
    return Problem(where=".".join(cut(part) for part in field), message=message)


def _unlisted(
    config: Config, trigger: Trigger, source: HttpSource, body: SubmissionBody
) -> Iterable[Problem]:
    """Yield a problem for each field that the triggers file does not let a caller set."""
    for name in body.parameters:
        if name not in trigger.values.parameters:
            yield _not_listed("parameters", name, trigger.values.parameters)
    for name, value in body.data_paths.items():
        if name not in trigger.values.data_paths:
            yield _not_listed("data_paths", name, trigger.values.data_paths)
        elif not isinstance(value, str) and value.datastore not in config.datastores:
            declared = ", ".join(config.datastores) or "none"
            hint = did_you_mean(value.datastore, config.datastores)
            yield Problem(
                where=f"data_paths.{name}.datastore",
                message=(
                    f"found {cut(value.datastore)}{hint}, which the triggers file does not declare; "
                    f"declared: {declared}"
                ),
            )
    if body.experiment is not None and not source.allow_experiment:
        yield Problem(
            where="experiment",
            message=(
                "callers of this trigger may not set it; "
                "`http: {allow_experiment: true}` in the triggers file allows it"
            ),
        )


def _not_listed(field: str, name: str, listed: Mapping[str, object]) -> Problem:
    # Without a suggestion: a body can have thousands of names, and each comparison with every listed name takes time.
    return Problem(
        where=f"{field}.{cut(name)}",
        message=(
            "the triggers file does not list it for this trigger or its pipeline; "
            f"listed: {', '.join(listed) or 'none'}"
        ),
    )


def _unknown(extra: Mapping[str, Any], allowed: frozenset[str]) -> Iterable[Problem]:
    """Yield a problem for each key that the trigger's templates do not use."""
    for name in extra:
        if name not in allowed:
            message = _unknown_key(name, sorted(RESERVED_BODY_NAMES | allowed))
            yield Problem(where=cut(name), message=message)


def _unknown_key(name: str, allowed: Iterable[str]) -> str:
    names = list(allowed)
    return f"unknown key{did_you_mean(name, names)}; allowed: {', '.join(names)}"
