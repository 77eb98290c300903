"""What templates may contain: expressions only."""

from __future__ import annotations

import pytest

from shared.config.templates.syntax import find_names
from tests.unit.config.templates.texts import refusal


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{% if true %}", "{% is not allowed, only {{ expression }} is"),
        ("{% raw %}{% endraw %}", "{% is not allowed"),
        ("{# note #}", "{# is not allowed, only {{ expression }} is"),
        ("{{- http.body.x }}", "whitespace control ({{-) is not allowed"),
        ("{{ http.body.x -}}", "whitespace control (-}}) is not allowed"),
        ("{{ http.body.x", "the template is not valid: "),
        ("{{}}", "the template is not valid: "),
        ("{{ http.body.x() }}", "calls are not allowed; use one of the filters: abs, "),
        ("{{ http.body.x.items() }}", "calls are not allowed"),
        ("{{ range(9) }}", "calls are not allowed"),
        ("{{ 9 ** 9 }}", "** is not allowed; multiply with *"),
        ("{{ 1, 2 }}", "tuples are not allowed; write a list with brackets: [1, 2]"),
        ("{{ 1 if true }}", "an if needs an else"),
        ("{{ http.body.x | attr('y') }}", "there is no filter attr; the filters are"),
        (
            "{{ http.body.x | uper }}",
            "there is no filter uper (did you mean upper?); the filters are abs, ",
        ),
        ("{{ http.body.x is callable }}", "there is no test callable; the tests are"),
        ("{{ http.body[http.body.x] }}", "only a literal text or number is allowed in [ ]"),
        ("{{ " + "(" * 9000 + "1" + ")" * 9000 + " }}", "the template is nested too deeply"),
    ],
)
def test_only_expressions_are_allowed(text: str, message: str) -> None:
    assert message in refusal(text)


def test_a_name_is_found_wherever_it_is_used() -> None:
    text = (
        "{{ 'abc'[:a.b] ~ c['d'] | replace(e, 'x') }} {{ f.g if h is defined else [i, {'j': k}] }}"
    )
    names = {".".join(name) for name in find_names(text)}
    assert names == {"a.b", "c.d", "e", "f.g", "h", "i", "k"}
    assert find_names("plain") == frozenset()


def test_items_by_number_are_not_a_part_of_the_name() -> None:
    assert find_names("{{ a.b[0].c }}") == {("a", "b")}
