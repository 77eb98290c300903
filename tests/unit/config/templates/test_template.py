"""Templates: their values, and when Jinja2 is imported and used."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config.templates.template import Template
from shared.core.errors import RenderError
from shared.core.events import Source
from tests.unit.config.templates.texts import BLOB, http, refusal, rendered


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("", ""),
        ("}} { } %} $", "}} { } %} $"),
        ("{{ blob.path }}", "incoming/a +%41 b.csv"),
        ("{{blob.size}}", 12),
        ("{{ blob.size > 10 }}", True),
        ("{{ blob.size / 8 }}", 1.5),
        ("{{ blob.size }} bytes", "12 bytes"),
        (" {{ blob.size }}", " 12"),
        ("{{ blob.size }}{{ blob.size }}", "1212"),
        ("{{ blob.size > 10 }}!", "True!"),
        ("{{ blob.last_modified }}", "2027-03-27T01:30:00Z"),
        ("at {{ event.time }}", "at 2027-03-27T01:30:00Z"),
        ("{{ blob.metadata.items }}", "three"),
        ("{{ blob['metadata']['team'] }}", "blue"),
        ("{{ blob.name[:2] }}", "1e"),
        ("{{ blob.name ~ '-' ~ trigger.name }}", "1e5-new-data"),
        ("{{ 'big' if blob.size > 100 else 'small' }}", "small"),
        ("{{ blob.metadata.missing | default('none') }}", "none"),
        ("{{ blob.metadata.missing is defined }}", False),
        ("{{ '{%' }} and {{ '{#' }}", "{% and {#"),
        ("a\n{{ blob.size }}\n", "a\n12\n"),
        ("{{ [blob.name, 'b'] | join('/') }}", "1e5/b"),
        ("{{ [blob.name, event.time] | tojson }}", '["1e5", "2027-03-27T01:30:00Z"]'),
    ],
)
def test_a_text_becomes_its_value(text: str, value: object) -> None:
    result = rendered(text, BLOB)
    assert result == value
    assert type(result) is type(value)


def test_a_blob_named_like_a_number_stays_text() -> None:
    assert rendered("{{ blob.name }}", BLOB) == "1e5"


def test_the_type_of_a_whole_expression_is_kept_and_text_is_text() -> None:
    template = Template.parse("{{ http.body.flag }}", source=Source.HTTP)
    names = http({"flag": True})
    assert template.render(names, where="x") is True
    assert template.render_text(names, where="x") == "True"


@given(st.text())
def test_a_blob_name_arrives_exactly(name: str) -> None:
    names = {"trigger": {}, "event": {}, "blob": {"name": name}}
    template = Template.parse("{{ blob.name }}", source=Source.BLOB)
    assert template.render(names, where="x") == name
    assert Template.parse("<{{ blob.name }}>", source=Source.BLOB).render_text(
        names, where="x"
    ) == (f"<{name}>")


@given(st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()))
def test_a_whole_expression_gives_back_what_the_caller_sent(value: object) -> None:
    template = Template.parse("{{ http.body.v }}", source=Source.HTTP)
    if value in (float("inf"), float("-inf")):
        with pytest.raises(RenderError, match="not a finite number"):
            template.render(http({"v": value}), where="x")
        return
    result = template.render(http({"v": value}), where="x")
    assert result == value
    assert type(result) is type(value)


@given(st.text(alphabet="ab{}%#$\\'\"\n -", max_size=12))
def test_any_text_is_read_or_refused_with_a_sentence(text: str) -> None:
    try:
        template = Template.parse(text, source=Source.BLOB)
    except ValueError:
        assert refusal(text, Source.BLOB)
    else:
        assert not template.is_literal or template.render({}, where="x") == text


def test_plain_names_and_literals_are_loaded_without_jinja2() -> None:
    code = (
        "import sys\n"
        "from shared.core.events import Source\n"
        "from shared.config.templates.template import Template\n"
        "for text in ('plain', '{{ blob.path }}', 'a/{{ blob.name }}/{{ trigger.name }}'):\n"
        "    Template.parse(text, source=Source.BLOB)\n"
        "sys.exit('jinja2' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_equal_texts_are_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import shared.config.templates.syntax as syntax

    parsed: list[str] = []
    find = syntax.find_names

    def counted(text: str) -> frozenset[tuple[str, ...]]:
        parsed.append(text)
        return find(text)

    monkeypatch.setattr(syntax, "find_names", counted)
    text = "{{ blob.name | replace('once', 'twice') }}"
    for _ in range(1000):
        Template.parse(text, source=Source.BLOB)
    assert parsed == [text]
