"""Jinja2 as templates use it: the sandbox, with expressions only and names looked up as items.

Imported late, by `shared.config.templates.template`, because Jinja2 costs a cold start tens of milliseconds.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import jinja2
import jinja2.utils
from jinja2 import nodes
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment

from shared.core.times import print_instant

_FILTERS = (
    "abs", "capitalize", "default", "first", "join", "last", "length", "lower", "replace",
    "round", "string", "title", "trim", "truncate", "upper", "urlencode",
)  # fmt: skip
_TESTS = (
    "boolean", "defined", "divisibleby", "eq", "even", "false", "float", "ge", "gt", "in",
    "integer", "le", "lower", "lt", "mapping", "ne", "none", "number", "odd", "sequence",
    "string", "true", "undefined", "upper",
)  # fmt: skip


class MissingName(jinja2.UndefinedError):
    """A template used something that the event does not have."""

    def __init__(self, holder: object, name: object) -> None:
        self._holder = holder
        self._name = name
        super().__init__(f"there is no {name}")

    def dotted(self, used: Iterable[str], names: Mapping[str, Any]) -> str:
        """Return the whole name: the one of those `used` whose look-up ended at the same place."""
        for whole in sorted(used):
            value: object = names
            path: list[str] = []
            for part in whole.split("."):
                path.append(part)
                if not (isinstance(value, Mapping) and part in value):
                    # Jinja2 keeps no holder for the first part of a name.
                    if part == self._name and (
                        value is self._holder or self._holder is jinja2.utils.missing
                    ):
                        return ".".join(path)
                    break
                value = value[part]
        return str(self._name)


class _Missing(jinja2.StrictUndefined):
    """What a missing name evaluates to: only `default` and `is defined` can use it."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: object = jinja2.utils.missing,
        name: str | None = None,
        exc: type[jinja2.TemplateRuntimeError] = jinja2.UndefinedError,
    ) -> None:
        super().__init__(hint, obj, name, exc)
        # Jinja2 calls this with its own message; ours remembers where the look-up ended.
        self._undefined_exception = lambda _message: self.failure  # type: ignore[assignment]  # it is only called

    @property
    def failure(self) -> MissingName:
        """The error that any other use of it raises."""
        return MissingName(self._undefined_obj, self._undefined_name)


class _Environment(SandboxedEnvironment):
    """The sandbox, with look-ups as items only.

    Operations that make huge values of small ones are refused.
    """

    intercepted_binops = frozenset({"*", "%"})

    def getattr(self, obj: object, attribute: str) -> Any:  # noqa: ANN401 - Jinja2's own signature
        """Look a name up as an item of a mapping."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:  # noqa: ANN401 - Jinja2's own signature
        """Look an item up: text in a mapping, a number in a list or text."""
        if isinstance(obj, jinja2.Undefined):
            return obj  # `http.body.a.b | default("x")` where `a` is missing
        if isinstance(obj, Mapping if isinstance(argument, str) else list | tuple | str):
            try:
                return obj[argument]
            except LookupError:
                pass
        return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> Any:  # noqa: ANN401 - Jinja2's own signature
        """Multiply and divide numbers only: `"a" * 1000000000` would take all memory."""
        if any(isinstance(value, str | list) for value in (left, right)):
            raise ValueError(f"{operator} takes numbers only")
        return super().call_binop(context, operator, left, right)


def _date(value: object, form: str = "%Y-%m-%d") -> str:
    """Print an instant, or ISO 8601 text, in UTC (`strftime` codes); a local time as its own clock shows it."""
    if isinstance(value, _Missing):
        raise value.failure
    try:
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except (TypeError, ValueError):
        raise ValueError(f"the filter date needs an instant and got {value!r}") from None
    if instant.tzinfo is not None and not _is_local(instant):
        instant = instant.astimezone(UTC)
    return instant.strftime(form)


def _is_local(instant: datetime) -> bool:
    """Whether an instant is meant as a local time: only `schedule.local_time` has a zone of its own."""
    return isinstance(instant.tzinfo, ZoneInfo)


def _instant(instant: datetime) -> str:
    """Print an instant in UTC, a local time with its offset."""
    return instant.isoformat() if _is_local(instant) else print_instant(instant)


def _number[T: (int, float)](kind: Callable[[Any], T]) -> Callable[..., T]:
    """Make a filter that reads a number; unlike Jinja2's own it makes no 0 of other text."""

    def convert(value: object, default: T | None = None) -> T:
        if isinstance(value, _Missing) and default is None:
            raise value.failure
        try:
            return kind(value)
        except (TypeError, ValueError, OverflowError):
            if default is not None:
                return default
            raise ValueError(f"{value!r} is not a number") from None

    return convert


def _tojson(value: object) -> str:
    """Print a value as JSON, plain: nothing here is HTML."""
    return json.dumps(value, ensure_ascii=False, default=_printed)


def _printed(value: object) -> object:
    if isinstance(value, datetime):
        return _instant(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, _Missing):
        raise value.failure
    raise TypeError(f"{type(value).__name__} cannot be printed as JSON")


def as_scalar(value: object) -> str | int | float | bool:
    """Return what can be sent: text, a number or a boolean; an instant as its text.

    Raises:
        MissingName: The value is something the event does not have.
        ValueError: The value is empty, a list, a map or not a finite number.
    """
    match value:
        case _Missing():
            raise value.failure
        case datetime():
            return _instant(value)
        case str():
            return str(value)  # a plain one, not a subclass of it
        case float() if not math.isfinite(value):
            raise ValueError("the value is not a finite number")
        case bool() | int() | float():
            return value
        case None:
            raise ValueError("the value is null; text, a number or a boolean is needed")
    kind = "a map" if isinstance(value, Mapping) else "a list"
    raise ValueError(
        f"the value is {kind}; name one of its items, or use the filter tojson to send it as text"
    )


@cache
def environment() -> _Environment:
    """Return the one environment, made at first use."""
    environment = _Environment(
        undefined=_Missing, finalize=as_scalar, autoescape=False, keep_trailing_newline=True
    )
    environment.globals.clear()
    environment.filters = {name: environment.filters[name] for name in _FILTERS} | {
        "date": _date,
        "float": _number(float),
        "int": _number(int),
        "tojson": _tojson,
    }
    environment.tests = {name: environment.tests[name] for name in _TESTS}
    return environment


def parse(text: str) -> nodes.Template:
    """Parse a text.

    Raises:
        ValueError: It cannot be read, or uses more than expressions.
    """
    try:
        _check_delimiters(text)
        return environment().parse(text)
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"the template cannot be read: {error.message}") from None
    except RecursionError:
        raise ValueError("the template is nested too deeply") from None


def _check_delimiters(text: str) -> None:
    """Refuse everything but `{{` and `}}`.

    Raises:
        ValueError: There is a statement, a comment or whitespace control.
        jinja2.TemplateSyntaxError: The text cannot be read.
    """
    for _line, kind, value in environment().lex(text):
        if kind in ("block_begin", "comment_begin", "raw_begin"):
            opener = "{#" if kind == "comment_begin" else "{%"
            raise ValueError(
                f"{opener} is not allowed, only {{{{ expression }}}} is; "
                f"to send it as it is, write {{{{ '{opener}' }}}}"
            )
        if kind in ("variable_begin", "variable_end") and value.strip() not in ("{{", "}}"):
            raise ValueError(
                f"whitespace control ({value.strip()}) is not allowed; "
                "put a space between the braces and a sign"
            )


@cache
def _evaluator(text: str) -> Callable[[Mapping[str, Any]], Any]:
    """Compile a text once."""
    body = parse(text).body
    match body:
        case [nodes.Output(nodes=[expression])] if not isinstance(expression, nodes.TemplateData):
            return environment().compile_expression(text[2:-2], undefined_to_none=False)
    return environment().from_string(text).render


def evaluate(text: str, names: Mapping[str, Any]) -> object:
    """Fill a text in; exactly one `{{ expression }}` gives the expression's own value.

    Raises:
        Exception: Whatever the expression raises; `MissingName` for a name that is not there.
    """
    return _evaluator(text)(names)
