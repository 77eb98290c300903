"""Templates: what they may hold, which names they may use, and what they become."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config.templates.template import Template
from shared.core.errors import MissingValue, RenderError
from shared.core.events import Source

NOON = datetime(2027, 3, 27, 1, 30, tzinfo=UTC)
BLOB: dict[str, Any] = {
    "trigger": {"name": "new-data"},
    "event": {"time": NOON},
    "blob": {
        "name": "1e5",
        "path": "incoming/a +%41 b.csv",
        "container": "data",
        "url": "https://a.blob.core.windows.net/data/x",
        "etag": "0x8D",
        "size": 12,
        "last_modified": NOON,
        "metadata": {"items": "three", "team": "blue"},
    },
}


def http(body: object = None, query: object = None) -> dict[str, Any]:
    return {
        "trigger": {"name": "on-demand"},
        "event": {"time": NOON},
        "http": {"body": body or {}, "query": query or {}},
    }


def rendered(text: str, names: dict[str, Any]) -> str | int | float | bool:
    source = Source.BLOB if "blob" in names else Source.HTTP
    return Template.parse(text, source=source).render(names, where="parameters.p")


def refusal(text: str, source: Source = Source.HTTP) -> str:
    with pytest.raises(ValueError) as caught:
        Template.parse(text, source=source)
    return str(caught.value)


def failure(text: str, names: dict[str, Any]) -> str:
    with pytest.raises(RenderError) as caught:
        rendered(text, names)
    return str(caught.value)


class TestValues:
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
            ("{{ blob.metadata.nobody | default('none') }}", "none"),
            ("{{ blob.metadata.nobody is defined }}", False),
            ("{{ '{%' }} and {{ '{#' }}", "{% and {#"),
            ("a\n{{ blob.size }}\n", "a\n12\n"),
            ("{{ [blob.name, 'b'] | join('/') }}", "1e5/b"),
            ("{{ [blob.name, event.time] | tojson }}", '["1e5", "2027-03-27T01:30:00Z"]'),
        ],
    )
    def test_a_text_becomes_its_value(self, text: str, value: object) -> None:
        result = rendered(text, BLOB)
        assert result == value
        assert type(result) is type(value)

    def test_a_missing_map_has_a_default(self) -> None:
        assert rendered("{{ http.body.a.b | default('none') }}", http()) == "none"

    def test_a_blob_named_like_a_number_stays_text(self) -> None:
        assert rendered("{{ blob.name }}", BLOB) == "1e5"

    def test_the_type_of_a_whole_expression_is_kept_and_text_is_text(self) -> None:
        template = Template.parse("{{ http.body.flag }}", source=Source.HTTP)
        names = http({"flag": True})
        assert template.render(names, where="x") is True
        assert template.render_text(names, where="x") == "True"

    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("{{ event.time | date }}", "2027-03-27"),
            ("{{ event.time | date('%Y/%m') }}", "2027/03"),
            ("{{ http.body.day | date }}", "2027-01-01"),
            ("{{ http.body.instant | date('%H') }}", "23"),
        ],
    )
    def test_dates_are_printed_in_utc(self, text: str, value: str) -> None:
        body = {"day": "2027-01-01", "instant": "2027-01-02T01:00:00+02:00"}
        assert rendered(text, http(body)) == value

    def test_an_instant_of_another_zone_is_printed_in_utc(self) -> None:
        time = NOON.astimezone(timezone(timedelta(hours=5)))
        assert rendered("{{ event.time }}", {**http(), "event": {"time": time}}) == (
            "2027-03-27T01:30:00Z"
        )

    def test_numbers_are_read_strictly(self) -> None:
        assert rendered("{{ http.body.n | int + 1 }}", http({"n": "41"})) == 42
        assert rendered("{{ http.body.n | float }}", http({"n": "1.5"})) == 1.5
        assert rendered("{{ http.body.n | int(7) }}", http({"n": "x"})) == 7
        assert failure("{{ http.body.n | int }}", http({"n": "x"})) == (
            "parameters.p: 'x' is not a number"
        )

    def test_items_of_lists_are_reached_by_position(self) -> None:
        names = http({"files": ["a", {"name": "b"}]})
        assert rendered("{{ http.body.files[0] }}", names) == "a"
        assert rendered("{{ http.body.files[-1].name }}", names) == "b"

    @given(st.text())
    def test_a_blob_name_arrives_exactly(self, name: str) -> None:
        names = {"trigger": {}, "event": {}, "blob": {"name": name}}
        template = Template.parse("{{ blob.name }}", source=Source.BLOB)
        assert template.render(names, where="x") == name
        assert Template.parse("<{{ blob.name }}>", source=Source.BLOB).render_text(
            names, where="x"
        ) == (f"<{name}>")

    @given(st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()))
    def test_a_whole_expression_gives_back_what_the_caller_sent(self, value: object) -> None:
        template = Template.parse("{{ http.body.v }}", source=Source.HTTP)
        if value in (float("inf"), float("-inf")):
            with pytest.raises(RenderError, match="not a finite number"):
                template.render(http({"v": value}), where="x")
            return
        result = template.render(http({"v": value}), where="x")
        assert result == value
        assert type(result) is type(value)

    @given(st.text(alphabet="ab{}%#$\\'\"\n -", max_size=12))
    def test_any_text_is_read_or_refused_with_a_sentence(self, text: str) -> None:
        try:
            template = Template.parse(text, source=Source.BLOB)
        except ValueError:
            assert refusal(text, Source.BLOB)
        else:
            assert not template.is_literal or template.render({}, where="x") == text


class TestNames:
    def test_the_names_of_a_text_are_known(self) -> None:
        text = "{{ http.body.a.b }} {{ http.query['q'] | default(trigger.name) }}"
        template = Template.parse(text, source=Source.HTTP)
        assert template.names == {"http.body.a.b", "http.query.q", "trigger.name"}
        assert not template.is_literal

    def test_a_name_in_a_slice_or_a_filter_argument_is_seen(self) -> None:
        text = "{{ 'abc'[:blob.size] ~ blob.name | replace(blob.etag, 'x') }}"
        assert Template.parse(text, source=Source.BLOB).names == {
            "blob.size",
            "blob.name",
            "blob.etag",
        }

    @pytest.mark.parametrize(
        ("source", "name"),
        [
            (Source.SCHEDULE, "schedule.time"),
            *[(source, name) for source in Source for name in ("trigger.name", "event.time")],
            *[
                (Source.BLOB, f"blob.{name}")
                for name in [
                    "name",
                    "path",
                    "container",
                    "url",
                    "etag",
                    "size",
                    "last_modified",
                    "metadata.x",
                ]
            ],
            (Source.HTTP, "http.body.x"),
            (Source.HTTP, "http.body.x.y.z"),
            (Source.HTTP, "http.query.x"),
        ],
    )
    def test_every_source_has_its_names(self, source: Source, name: str) -> None:
        assert Template.parse(f"{{{{ {name} }}}}", source=source).names == {name}
        assert Template.parse(f"{{{{ {name} | upper }}}}", source=source).names == {name}

    @pytest.mark.parametrize(
        ("text", "source", "message"),
        [
            (
                "{{ blob.path }}",
                Source.SCHEDULE,
                "blob.path does not exist for a schedule trigger; "
                "it has trigger.name, event.time, schedule.time, schedule.local_time, "
                "schedule.window_start, schedule.window_end",
            ),
            (
                "{{ schedule.tme }}",
                Source.SCHEDULE,
                "schedule.tme is not known (did you mean schedule.time?); "
                "a schedule trigger has trigger.name, event.time, schedule.time, schedule.local_time, "
                "schedule.window_start, schedule.window_end",
            ),
            (
                "{{ http.body }}",
                Source.HTTP,
                "http.body is not a value; name a field: http.body.*",
            ),
            (
                "{{ http.query.Code }}",
                Source.HTTP,
                "http.query.Code carries a function key, which never reaches a template; "
                "give the query parameter another name",
            ),
            (
                "{{ http.body.parameters.x }}",
                Source.HTTP,
                "http.body.parameters.x has a meaning of its own in a request; "
                "give the key another name",
            ),
        ],
    )
    def test_a_wrong_name_is_refused_with_what_is_right(
        self, text: str, source: Source, message: str
    ) -> None:
        assert refusal(text, source) == message

    @pytest.mark.parametrize("name", ["code", "CODE", "clientId", "clientid", "CLIENTID"])
    def test_function_keys_never_reach_a_template(self, name: str) -> None:
        assert "function key" in refusal(f"{{{{ http.query.{name} }}}}")
        assert "function key" in refusal(f"{{{{ http.query['{name}'] }}}}")
        assert "function key" in refusal(f"{{{{ http.query.{name} | default('') }}}}")

    @pytest.mark.parametrize(
        "text",
        [
            "{{ blob }}",
            "{{ blob | tojson }}",
            "{{ blob.metadata }}",
            "{{ blob.metadata.a.b }}",
            "{{ trigger }}",
            "{{ self }}",
            "{{ range }}",
            "{{ blob.__class__ }}",
            "{{ trigger.name.upper }}",
            "{{ blob[blob.name] }}",
            "{{ name }}",
            "{{ true.x.y }}{{ blob.__init__ }}",
        ],
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        assert refusal(text, Source.BLOB)


class TestSyntax:
    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{% if true %}", "{% is not allowed, only {{ expression }} is"),
            ("{% raw %}{% endraw %}", "{% is not allowed"),
            ("{# note #}", "{# is not allowed, only {{ expression }} is"),
            ("{{- http.body.x }}", "whitespace control ({{-) is not allowed"),
            ("{{ http.body.x -}}", "whitespace control (-}}) is not allowed"),
            ("{{ http.body.x", "the template cannot be read: "),
            ("{{}}", "the template cannot be read: "),
            ("{{ http.body.x() }}", "calls are not allowed; the filters are abs, "),
            ("{{ http.body.x.items() }}", "calls are not allowed"),
            ("{{ range(9) }}", "calls are not allowed"),
            ("{{ 9 ** 9 }}", "** is not allowed; multiply"),
            ("{{ 1, 2 }}", "a list is written with brackets: [1, 2]"),
            ("{{ 1 if true }}", "an if needs an else"),
            ("{{ http.body.x | attr('y') }}", "there is no filter attr; the filters are"),
            ("{{ http.body.x | uper }}", "there is no filter uper; did you mean upper?"),
            ("{{ http.body.x is callable }}", "there is no test callable; the tests are"),
            ("{{ http.body[http.body.x] }}", "what stands in [ ] must be a text or a number"),
            ("{{ " + "(" * 9000 + "1" + ")" * 9000 + " }}", "the template is nested too deeply"),
        ],
    )
    def test_only_expressions_are_allowed(self, text: str, message: str) -> None:
        assert message in refusal(text)


class TestFailures:
    def test_a_missing_name_is_told_whole(self) -> None:
        with pytest.raises(MissingValue) as caught:
            rendered("{{ http.body.day }}", http())
        assert str(caught.value) == "parameters.p: the event has no http.body.day"
        assert caught.value.name == "http.body.day"
        assert caught.value.where == "parameters.p"

    @pytest.mark.parametrize(
        "text",
        [
            "{{ http.body.day }}",
            "x{{ http.body.day }}",
            "{{ http.body.day ~ 'x' }}",
            "{{ http.body.day + 1 }}",
            "{{ http.body.day | upper }}",
            "{{ http.body.day | date }}",
            "{{ http.body.day | int }}",
            "{{ http.body.day | tojson }}",
            "{{ [http.body.day] | join }}",
            "{{ http.body.day.deeper }}",
            "{{ http.body.day == 1 }}",
            "{{ 1 if http.body.day else 2 }}",
            "{{ http.query.day | default('') }}{{ http.body.day }}",
        ],
    )
    def test_every_use_of_a_missing_name_tells_it(self, text: str) -> None:
        assert failure(text, http()) == "parameters.p: the event has no http.body.day"

    def test_the_missing_one_of_two_equal_last_parts_is_told(self) -> None:
        text = "{{ http.query.day }}{{ http.body.day }}"
        assert failure(text, http(query={"day": "1"})).endswith("no http.body.day")
        assert failure(text, http(body={"day": "1"})).endswith("no http.query.day")

    def test_a_method_is_never_reached(self) -> None:
        assert failure("{{ http.body.items }}", http({"a": 1})).endswith("no http.body.items")
        assert failure("{{ http.body.n.real }}", http({"n": 1})).endswith("no http.body.n.real")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("{{ http.body.none }}", "the value is null; text, a number or a boolean is needed"),
            ("{{ http.body.map }}", "the value is a map; name one of its items"),
            ("x{{ http.body.list }}", "the value is a list; name one of its items"),
            ("{{ 1 / http.body.zero }}", "ZeroDivisionError: division by zero"),
            ("{{ http.body.text + 1 }}", "TypeError: "),
            ("{{ http.body.text * 9999999999 }}", "* takes numbers only"),
            ("{{ '%9999999999d' % http.body.zero }}", "% takes numbers only"),
            ("{{ http.body.text | date }}", "the filter date needs an instant and got 'abc'"),
            ("{{ http.body.zero | date }}", "the filter date needs an instant and got 0"),
        ],
    )
    def test_a_value_that_cannot_be_sent_says_why(self, text: str, message: str) -> None:
        body = {"none": None, "map": {"a": 1}, "list": [1], "zero": 0, "text": "abc"}
        assert failure(text, http(body)).startswith(f"parameters.p: {message}")


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
