"""Reads a JSON object strictly, so that a run gets exactly the values that the caller wrote."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from shared.core.errors import InvalidRequest, Problem, RequestTooLarge
from shared.core.events import MAX_HTTP_BODY_BYTES
from shared.web.problems import cut

MAX_DIGITS = 400
"""Digits of an integer, more than any real value has. Python refuses to parse more than 4,300."""

MAX_DEPTH = 64
"""Levels of lists and objects, the body included. Pydantic neither stores nor answers more than about 200."""

_TOO_DEEP = (
    f"found values that are nested too deeply; at most {MAX_DEPTH} levels are allowed: flatten them"
)

_JSON_TYPES = {
    list: "a list",
    str: "text",
    int: "a number",
    float: "a number",
    bool: "a boolean",
}


def read_body_object(body: bytes) -> dict[str, Any]:
    """Read a request's body as a JSON object: see `read_json`.

    Raises:
        RequestTooLarge: The body is larger than 48 KiB.
        InvalidRequest: The body is not a valid JSON object.
    """
    if len(body) > MAX_HTTP_BODY_BYTES:
        raise RequestTooLarge(
            f"the body has {len(body)} bytes, but at most {MAX_HTTP_BODY_BYTES} are allowed; "
            "put large data into a blob and send its path"
        )
    return read_json(body)


def read_json(data: bytes) -> dict[str, Any]:
    """Read a JSON object: no duplicate keys, no NaN, no infinite numbers, no lone surrogates, at most 64 levels.

    Empty data is an empty object.

    Raises:
        InvalidRequest: The data is not a valid JSON object.
    """
    if not data.strip():
        return {}
    try:
        content = json.loads(
            data.decode("utf-8-sig"),
            object_pairs_hook=_read_object,
            parse_constant=_refuse_constant,
            parse_float=_read_float,
            parse_int=_read_integer,
        )
        # JSON can escape a lone surrogate, which no UTF-8 body to Azure ML could carry.
        json.dumps(content, ensure_ascii=False).encode()
        _check_depth(content)
    except UnicodeError as error:
        raise _not_json("found bytes that are not valid UTF-8; expected UTF-8 text") from error
    except RecursionError as error:
        raise _not_json(_TOO_DEEP) from error
    except json.JSONDecodeError as error:
        message = f"{error.msg} at line {error.lineno}, column {error.colno}"
        raise _not_json(message) from error
    except ValueError as error:
        raise _not_json(str(error)) from error
    if not isinstance(content, dict):
        found = _JSON_TYPES.get(type(content), "null")
        raise _not_json(f"found {found}; expected an object such as {{}}")
    return content


def _read_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"found the key {cut(repeated[0])} more than once; keep one of them")
    return content


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"found {text}, which is not a JSON number; send text, or leave the key out")


def _read_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"found the number {cut(text)}, which is too large; put it in quotes")
    return _check_spelling(text, number)


def _read_integer(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"found the number {cut(text)}, which is too long; put it in quotes")
    return _check_spelling(text, int(text))


def _check_spelling[T: (int, float)](text: str, number: T) -> T:
    """Return a number, if its text is how Python spells it.

    Azure ML takes parameters as text only. `1.10` or `1e5` would arrive in another spelling.
    """
    if str(number) != text:
        raise ValueError(
            f"the number {cut(text)} would be sent as {cut(str(number))}; put it in quotes"
        )
    return number


def _check_depth(content: object) -> None:
    """Refuse values that are nested too deeply, level by level, so that their depth costs no recursion."""
    level = [content]
    for _ in range(MAX_DEPTH + 1):
        below = [one for one in level if isinstance(one, dict | list)]
        if not below:
            return
        level = [
            value for one in below for value in (one.values() if isinstance(one, dict) else one)
        ]
    raise ValueError(_TOO_DEEP)


def _not_json(message: str) -> InvalidRequest:
    return InvalidRequest(
        "the body is not a valid JSON object", problems=[Problem(where="body", message=message)]
    )
