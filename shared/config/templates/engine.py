"""Jinja2's sandbox, restricted to expressions, with names looked up as items.

`shared.config.templates.template` imports this module late, because Jinja2 costs a cold start tens of milliseconds.
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
    """The event does not have a value that a template uses."""

    def __init__(self, holder: object, name: object) -> None:
        self._holder = holder
        self._name = name
        super().__init__(f"there is no {name}")

    def dotted(self, used: Iterable[str], names: Mapping[str, Any]) -> str:
        """Return the whole dotted name of the missing value.

        Args:
            used: The dotted names that the template uses.
            names: The values of the event.
        """
        for whole in sorted(used):
            value: object = names
            path: list[str] = []
            for part in whole.split("."):
                path.append(part)
                if not (isinstance(value, Mapping) and part in value):
                    # Jinja2 has no holder for the first part of a name.
                    if part == self._name and (
                        value is self._holder or self._holder is jinja2.utils.missing
                    ):
                        return ".".join(path)
                    break
                value = value[part]
        return str(self._name)


class _Missing(jinja2.StrictUndefined):
    """The value of a missing name. Only `default` and `is defined` accept it."""

    __slots__ = ()

    def __init__(
        self,
        hint: str | None = None,
        obj: object = jinja2.utils.missing,
        name: str | None = None,
        exc: type[jinja2.TemplateRuntimeError] = jinja2.UndefinedError,
    ) -> None:
        super().__init__(hint, obj, name, exc)
        # Jinja2 calls this with a message of its own. Ours knows where the lookup ended.
        self._undefined_exception = lambda _message: self.failure  # type: ignore[assignment]  # it is only called

    @property
    def failure(self) -> MissingName:
        """The error that any other use raises."""
        return MissingName(self._undefined_obj, self._undefined_name)


class _Environment(SandboxedEnvironment):
    """The sandbox, with lookups of items only.

    Operations that make huge values of small ones are refused.
    """

    intercepted_binops = frozenset({"*", "%"})

    def getattr(self, obj: object, attribute: str) -> Any:  # noqa: ANN401 - Jinja2's own signature
        """Return an item of a mapping by name."""
        return self.getitem(obj, attribute)

    def getitem(self, obj: Any, argument: Any) -> Any:  # noqa: ANN401 - Jinja2's own signature
        """Return an item: by text in a mapping, by a number in a list or text."""
        if isinstance(obj, jinja2.Undefined):
            return obj  # `http.body.a.b | default("x")` where `a` is missing
        if isinstance(obj, Mapping if isinstance(argument, str) else list | tuple | str):
            try:
                return obj[argument]
            except LookupError:
                pass
        return self.undefined(obj=obj, name=argument)

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> Any:  # noqa: ANN401 - Jinja2's own signature
        """Calculate `*` and `%` with numbers only."""
        # `"a" * 1000000000` would use up the memory.
        if any(isinstance(value, str | list) for value in (left, right)):
            raise ValueError(f"{operator} takes numbers only")
        return super().call_binop(context, operator, left, right)


def _date(value: object, form: str = "%Y-%m-%d") -> str:
    """Return an instant, or ISO 8601 text, in a form with `strftime` codes.

    An instant is shown in UTC, a local time as its own clock shows it.
    """
    if isinstance(value, _Missing):
        raise value.failure
    try:
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except (TypeError, ValueError):
        raise ValueError(f"the filter date needs an instant, found {value!r}") from None
    if instant.tzinfo is not None and not _is_local(instant):
        instant = instant.astimezone(UTC)
    return instant.strftime(form)


def _is_local(instant: datetime) -> bool:
    """Return whether an instant is a local time. Only `schedule.local_time` has a zone of its own."""
    return isinstance(instant.tzinfo, ZoneInfo)


def _instant(instant: datetime) -> str:
    """Return an instant in UTC as text, or a local time with its offset."""
    return instant.isoformat() if _is_local(instant) else print_instant(instant)


def _number[T: (int, float)](kind: Callable[[Any], T]) -> Callable[..., T]:
    """Return a filter that reads a number. Jinja2's own returns 0 for other text, which would hide an error."""

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
    """Return a value as JSON. Jinja2's own filter would escape it for HTML."""
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
    """Return a value in a form that can be sent: text, a number or a boolean. An instant becomes text.

    Raises:
        MissingName: The event does not have the value.
        ValueError: The value is null, a list, a map or not a finite number.
    """
    match value:
        case _Missing():
            raise value.failure
        case datetime():
            return _instant(value)
        case str():
            return str(value)  # not a subclass of str, such as Jinja2's Markup
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
    """Return the only environment. It is created at first use."""
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
        ValueError: The text is not a template, or uses more than expressions.
    """
    try:
        _check_delimiters(text)
        return environment().parse(text)
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"the template is not valid: {error.message}") from None
    except RecursionError:
        raise ValueError("the template is nested too deeply") from None


def _check_delimiters(text: str) -> None:
    """Refuse all delimiters except `{{` and `}}`.

    Raises:
        ValueError: The text has a statement, a comment or whitespace control.
        jinja2.TemplateSyntaxError: The text is not a template.
    """
    for _line, kind, value in environment().lex(text):
        if kind in ("block_begin", "comment_begin", "raw_begin"):
            opener = "{#" if kind == "comment_begin" else "{%"
            raise ValueError(
                f"{opener} is not allowed, only {{{{ expression }}}} is; "
                f"for a literal {opener} write {{{{ '{opener}' }}}}"
            )
        if kind in ("variable_begin", "variable_end") and value.strip() not in ("{{", "}}"):
            raise ValueError(
                f"whitespace control ({value.strip()}) is not allowed; "
                "put a space between the braces and a sign"
            )


@cache
def _evaluator(text: str) -> Callable[[Mapping[str, Any]], Any]:
    """Return a function that evaluates a text with the values of an event."""
    body = parse(text).body
    match body:
        case [nodes.Output(nodes=[expression])] if not isinstance(expression, nodes.TemplateData):
            return environment().compile_expression(text[2:-2], undefined_to_none=False)
    return environment().from_string(text).render


def evaluate(text: str, names: Mapping[str, Any]) -> object:
    """Fill a text in. If the text is exactly one `{{ expression }}`, return the value of the expression itself.

    Raises:
        MissingName: The event does not have a name that the text uses.
        Exception: Any error of the expression.
    """
    return _evaluator(text)(names)
