"""Read a request for a run: strict JSON, only what the file lists for the trigger, every mistake named."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from difflib import get_close_matches
from typing import Any, NoReturn

from pydantic import BaseModel
from pydantic import ValidationError as PydanticError

from shared.config.model import BlobSource, Config, HttpSource, Trigger
from shared.core.errors import InvalidRequest, Problem, RequestTooLarge, WrongSource
from shared.core.events import MAX_HTTP_BODY_BYTES, BlobNotification, HttpEvent, ScheduleEvent
from shared.core.times import read_instant
from shared.web.api.models import RunNowBody, SubmissionBody
from shared.web.exchange import Request

MAX_KEY_LENGTH = 255
MAX_PROBLEMS = 50
FIRST_YEAR, LAST_YEAR = 2000, 2199
YEARS = f"from {FIRST_YEAR} to {LAST_YEAR}"
MAX_DIGITS = 400
"""More than any number that means something; above 4,300 Python reads none."""
OWN_KEYS = frozenset({"parameters", "data_paths", "experiment"})

_ALLOWED = {
    "parameters": "must be text, a number, true or false",
    "data_paths": 'must be a path as text, or {"datastore": …, "path": …} with both as text',
    "experiment": "must be text that is not empty",
}


def read_event(config: Config, trigger: Trigger, request: Request, *, now: datetime) -> HttpEvent:
    """Return the event that a request is.

    No header becomes part of it but `Idempotency-Key` and Logic Apps' run id and operation; of the query, only what
    the trigger's templates name.

    Raises:
        WrongSource: The trigger starts from something else.
        RequestTooLarge: The body is above 48 KiB.
        InvalidRequest: Something in it is wrong; every mistake is named.
    """
    source = trigger.source
    if not isinstance(source, HttpSource):
        raise WrongSource(
            f"trigger {trigger.name} starts from a {source.source}, not from a call; "
            'to start it all the same, send "run_now": true'
        )
    content = read_object(request)
    body, problems = _read_body(content)
    extra = {name: value for name, value in content.items() if name not in OWN_KEYS}
    problems += [*_unlisted(config, trigger, source, body), *_unknown(extra, source.body_names)]
    if problems:
        raise InvalidRequest("the request cannot become a submission", problems=problems)
    return HttpEvent(
        trigger=trigger.name,
        time=now,
        key=_key(request.headers),
        parameters=body.parameters,
        data_paths={
            name: value if isinstance(value, str) else value.model_dump()
            for name, value in body.data_paths.items()
        },
        experiment=body.experiment,
        body=extra,
        query={name: request.query[name] for name in source.query_names if name in request.query},
    )


def read_object(request: Request) -> dict[str, Any]:
    """Read a request's body as a JSON object.

    Raises:
        RequestTooLarge: It is above 48 KiB.
        InvalidRequest: It is not such an object.
    """
    if len(request.body) > MAX_HTTP_BODY_BYTES:
        raise RequestTooLarge(
            f"the body has {len(request.body)} bytes; at most {MAX_HTTP_BODY_BYTES} are allowed: "
            "put data into a blob and send its path"
        )
    return read_json(request.body)


def read_body[M: BaseModel](model: type[M], content: Mapping[str, Any]) -> M:
    """Check a JSON object against a model; all mistakes are named.

    Raises:
        InvalidRequest: It does not fit.
    """
    try:
        return model.model_validate(content)
    except PydanticError as error:
        problems = [
            Problem(
                where=".".join(cut(str(part)) for part in item["loc"]) or "body",
                message=_told(model, item["type"], item["loc"], item["msg"]),
            )
            for item in error.errors(include_url=False, include_input=False)[:MAX_PROBLEMS]
        ]
        raise InvalidRequest("some values are not what they must be", problems=problems) from error


def _told(model: type[BaseModel], kind: str, place: Sequence[int | str], said: str) -> str:
    """Return a mistake that pydantic found, in our words where they say more."""
    if kind != "extra_forbidden":
        return said
    if len(place) > 1:
        return "is not known here; leave it out"
    return f"is not known here; allowed: {', '.join(model.model_fields)}"


def read_time(text: str, *, where: str) -> datetime:
    """Read an instant, and cut it to the minute.

    Raises:
        InvalidRequest: It is none.
    """
    try:
        time = read_instant(text).replace(second=0, microsecond=0)
        check_year(time)
    except (ValueError, OverflowError) as error:
        message = f"must be an instant such as 2027-03-27T01:30:00Z, {YEARS}, found {cut(text)}"
        raise InvalidRequest(
            "some values are not what they must be",
            problems=[Problem(where=where, message=message)],
        ) from error
    return time


def check_year(time: datetime) -> None:
    """Refuse an instant that no schedule is meant for.

    Raises:
        ValueError: It is one.
    """
    if not FIRST_YEAR <= time.year <= LAST_YEAR:
        raise ValueError(f"the year {time.year}")


def read_run_now(
    trigger: Trigger, request: Request, *, now: datetime
) -> ScheduleEvent | BlobNotification | None:
    """Return the event that somebody wants now; None for a trigger that starts from calls anyhow.

    Raises:
        WrongSource: The body does not say `"run_now": true`.
        RequestTooLarge: The body is above 48 KiB.
        InvalidRequest: Something in it is wrong.
    """
    source = trigger.source
    if isinstance(source, HttpSource):
        return None
    content = read_object(request)
    if "run_now" not in content:
        raise WrongSource(
            f"trigger {trigger.name} starts from a {source.source}, not from a call; "
            'to start it all the same, send "run_now": true'
        )
    body = read_body(RunNowBody, content)
    if isinstance(source, BlobSource):
        if body.blob is None or body.time is not None:
            raise _bad_run_now("blob", "a blob trigger needs `blob`, and takes no `time`")
        container = source.datastore.container
        return BlobNotification(trigger=trigger.name, container=container, path=body.blob)
    if body.blob is not None:
        raise _bad_run_now("blob", "a schedule takes `time` only")
    this_minute = now.replace(second=0, microsecond=0)
    time = this_minute if body.time is None else read_time(body.time, where="time")
    if time > this_minute:
        raise _bad_run_now("time", "lies ahead; an occurrence that has not come cannot be started")
    return ScheduleEvent(trigger=trigger.name, time=time)


def _bad_run_now(where: str, message: str) -> InvalidRequest:
    return InvalidRequest(
        "the trigger cannot be started so", problems=[Problem(where=where, message=message)]
    )


def read_json(data: bytes) -> dict[str, Any]:
    """Read a JSON object strictly: no duplicate keys, no NaN, no infinite numbers, no lone surrogates.

    An empty body is an empty object.

    Raises:
        InvalidRequest: It is not such an object.
    """
    if not data.strip():
        return {}
    try:
        content = json.loads(
            data.decode("utf-8-sig"),
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_read_float,
            parse_int=_read_integer,
        )
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeError as error:
        raise _not_json("it is not valid UTF-8 text") from error
    except RecursionError as error:
        raise _not_json("it is nested too deeply") from error
    except json.JSONDecodeError as error:
        raise _not_json(f"{error.msg} at line {error.lineno}, column {error.colno}") from error
    except ValueError as error:
        raise _not_json(str(error)) from error
    if not isinstance(content, dict):
        raise _not_json("it must be an object such as {}")
    return content


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"the key {cut(twice[0])} stands there more than once")
    return content


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a JSON number")


def _read_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"the number {cut(text)} is too large")
    return _as_written(text, number)


def _read_integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"the number {cut(text)} is too long; put it in quotes")
    return _as_written(text, int(text))


def _as_written[T: (int, float)](text: str, number: T) -> T:
    """Refuse a number that Azure ML, which takes text only, would not get as it was written: `1.10`, `1e5`."""
    if str(number) != text:
        raise ValueError(
            f"the number {cut(text)} would be sent as {cut(str(number))}; put it in quotes"
        )
    return number


def _not_json(reason: str) -> InvalidRequest:
    return InvalidRequest(
        "the body is not the JSON object that it must be",
        problems=[Problem(where="body", message=reason)],
    )


def _read_body(content: Mapping[str, Any]) -> tuple[SubmissionBody, list[Problem]]:
    """Return what a caller may set, without what has a wrong type, which is named."""
    own = {name: value for name, value in content.items() if name in OWN_KEYS}
    problems: list[Problem] = []
    try:
        body = SubmissionBody.model_validate(own)
    except PydanticError as error:
        places = list(dict.fromkeys(tuple(map(str, item["loc"][:2])) for item in error.errors()))
        problems = [_wrong_type(place) for place in places]
        body = SubmissionBody.model_validate(_without(own, places))
    if body.experiment is not None and not body.experiment.strip():
        problems.append(_wrong_type(("experiment",)))
    return body, problems


def _without(own: Mapping[str, Any], places: Iterable[tuple[str, ...]]) -> dict[str, Any]:
    """Return the values without those at some places: a field, or one name in it."""
    left = dict(own)
    for field, *names in places:
        if names and field in left:
            left[field] = {name: value for name, value in left[field].items() if name not in names}
        else:
            left.pop(field, None)
    return left


def _wrong_type(place: tuple[str, ...]) -> Problem:
    field = place[0]
    whole = len(place) == 1 and field != "experiment"
    message = "must be an object of names and values" if whole else _ALLOWED[field]
    return Problem(where=".".join(cut(part) for part in place), message=message)


def _unlisted(
    config: Config, trigger: Trigger, source: HttpSource, body: SubmissionBody
) -> Iterable[Problem]:
    """Name what the file does not let a caller set."""
    for name in body.parameters:
        if name not in trigger.values.parameters:
            yield _not_listed("parameters", name, trigger.values.parameters)
    for name, value in body.data_paths.items():
        if name not in trigger.values.data_paths:
            yield _not_listed("data_paths", name, trigger.values.data_paths)
        elif not isinstance(value, str) and value.datastore not in config.datastores:
            known = ", ".join(config.datastores) or "none"
            yield Problem(
                where=f"data_paths.{name}.datastore",
                message=f"{cut(value.datastore)} is not declared in the triggers file; declared: {known}",
            )
    if body.experiment is not None and not source.allow_experiment:
        yield Problem(
            where="experiment",
            message="a caller may not choose it; `http: {allow_experiment: true}` in the triggers file permits it",
        )


def _not_listed(field: str, name: str, listed: Mapping[str, object]) -> Problem:
    allowed = ", ".join(listed) or "none"
    return Problem(
        where=f"{field}.{cut(name)}",
        message=f"the triggers file does not list it for this trigger or its pipeline; listed: {allowed}",
    )


def _unknown(extra: Mapping[str, Any], allowed: frozenset[str]) -> Iterable[Problem]:
    known = sorted(OWN_KEYS | allowed)
    for name in (name for name in extra if name not in allowed):
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        yield Problem(
            where=cut(name), message=f"is not known here; allowed: {', '.join(known)}{hint}"
        )


def _key(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Return what makes it the same request when it comes again.

    Logic Apps repeats its action with the same run id and operation (Microsoft Learn: Logic Apps HTTP action headers).
    """
    key = headers.get("idempotency-key")
    if key is not None:
        if not 0 < len(key) <= MAX_KEY_LENGTH or not key.isprintable():
            message = f"must be 1 to {MAX_KEY_LENGTH} printable characters"
            raise InvalidRequest(
                "the Idempotency-Key cannot be used",
                problems=[Problem(where="Idempotency-Key", message=message)],
            )
        return ("key", key)
    run, operation = (headers.get(f"x-ms-workflow-{name}") for name in ("run-id", "operation-name"))
    if run and operation:
        return ("logic-apps", run, operation)
    return ("new", secrets.token_hex(16))


def cut(text: str) -> str:
    """Return a caller's text short enough, and plain enough, to be repeated in an answer."""
    plain = "".join(character if character.isprintable() else "�" for character in text)
    return plain if len(plain) <= 80 else f"{plain[:77]}…"
