"""The names that templates may use, by the source of the trigger."""

from __future__ import annotations

import pytest

from shared.config.templates.names import check_names
from shared.config.templates.template import Template
from shared.core.events import Source
from tests.unit.config.templates.texts import refusal


def test_the_names_of_a_text_are_known() -> None:
    text = "{{ http.body.a.b }} {{ http.query['q'] | default(trigger.name) }}"
    template = Template.parse(text, source=Source.HTTP)
    assert template.names == {"http.body.a.b", "http.query.q", "trigger.name"}
    assert not template.is_literal


def test_a_name_in_a_slice_or_a_filter_argument_is_seen() -> None:
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
def test_every_source_has_its_names(source: Source, name: str) -> None:
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
            "http.body is not a value; use one of its fields: http.body.*",
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
            "http.body.parameters.x is a key of the request that the app itself reads; "
            "give the key another name",
        ),
    ],
)
def test_a_wrong_name_is_refused_with_what_is_right(
    text: str, source: Source, message: str
) -> None:
    assert refusal(text, source) == message


@pytest.mark.parametrize("name", ["code", "CODE", "clientId", "clientid", "CLIENTID"])
def test_function_keys_never_reach_a_template(name: str) -> None:
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
def test_anything_else_is_refused(text: str) -> None:
    assert refusal(text, Source.BLOB)


@pytest.mark.parametrize(
    "names",
    [
        [("blob", "path"), ("trigger", "name")],
        [("http", "body", "a", "b"), ("http", "query", "c")],
        [("schedule", "time")],
        [("event", "time")],
        [],
    ],
)
def test_without_a_source_the_names_of_any_one_source_are_allowed(
    names: list[tuple[str, ...]],
) -> None:
    check_names(names, None)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            [("blob", "path"), ("schedule", "time")],
            "no trigger has all of blob.path, schedule.time; use the names of one source in one text",
        ),
        (
            [("blob", "pth")],
            "blob.pth is not known (did you mean blob.path?); a trigger has trigger.name, event.time, "
            "schedule.time, schedule.local_time, schedule.window_start, schedule.window_end, blob.name, "
            "blob.path, blob.container, blob.url, blob.etag, blob.size, blob.last_modified, "
            "blob.metadata.*, http.body.*, http.query.*",
        ),
        ([("schedule",)], "schedule is not a value; use one of its fields: schedule.time, "),
        ([("http", "query", "code")], "http.query.code carries a function key"),
    ],
)
def test_without_a_source_all_other_names_are_refused(
    names: list[tuple[str, ...]], message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        check_names(names, None)
    assert str(caught.value).startswith(message)
