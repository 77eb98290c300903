"""App settings in the texts of the file."""

from __future__ import annotations

import pytest

from shared.config.templates.template import Template
from tests.unit.config.files import Load, ProblemsOf, only, with_trigger


def test_a_setting_is_filled_in_first_and_once(load: Load) -> None:
    text = with_trigger(
        'http: {}\nparameters: {a: "${NESTED}", b: "$${DATE}", c: "x${DATE}${EMPTY}y", d: "$$"}'
    )
    values = load(text).triggers["t"].values.parameters
    assert values == {
        "a": Template(text="${DATE} $${DATE}"),
        "b": Template(text="${DATE}"),
        "c": Template(text="x2027-01-01y"),
        "d": Template(text="$$"),
    }


def test_a_missing_setting_is_reported_with_the_closest_name(problems_of: ProblemsOf) -> None:
    text = with_trigger("http: {}").replace("${SCORING_ENDPOINT}", "${SCORNG_ENDPOINT}")
    assert only(problems_of(text)) == (
        "pipelines.scoring.endpoint: the app setting SCORNG_ENDPOINT does not exist "
        "(did you mean SCORING_ENDPOINT?); add it to the app's settings "
        "(on a laptop: local.settings.json)"
    )


@pytest.mark.parametrize("text", ["${}", "${A B}", "${A", "a ${ b"])
def test_a_placeholder_without_a_name_is_refused(problems_of: ProblemsOf, text: str) -> None:
    problems = problems_of(with_trigger(f'http: {{}}\ntags: {{a: "{text}"}}'))
    assert only(problems) == (
        "triggers.t.tags.a: ${ must be followed by the name of an app setting and }, such as "
        "${SCORING_ENDPOINT}; for a literal ${ write $${"
    )


@pytest.mark.parametrize(
    "line",
    [
        'parameters: {x: "a ${STORAGE_KEY}"}',
        'data_paths: {x: {datastore: ds, path: "${STORAGE_KEY}"}}',
        'datasets: {x: "${storage_key}"}',
        'tags: {x: "${MY_SECRET}"}',
        'properties: {x: "${ADMINPASSWORD}"}',
        'description: "${ApiToken}"',
        'experiment: "${Storage__Connection}"',
    ],
)
def test_secrets_are_never_sent_to_azure_ml(problems_of: ProblemsOf, line: str) -> None:
    for text in (with_trigger(f"http: {{}}\n{line}"), with_trigger("http: {}", pipeline=line)):
        problems = problems_of(text.replace("    experiment: E\n", ""))
        assert any("looks like a secret" in one.message for one in problems)
        assert all("hush-hush" not in one.message for one in problems)


def test_the_refusal_of_a_secret_names_the_setting_and_the_rule(problems_of: ProblemsOf) -> None:
    problems = problems_of(with_trigger('http: {}\nparameters: {x: "${STORAGE_KEY}"}'))
    assert only(problems) == (
        "triggers.t.parameters.x: the setting STORAGE_KEY looks like a secret, and Azure ML "
        "shows this value in the studio; use a setting whose name does not end in KEY, SECRET, "
        "PASSWORD, TOKEN, CONNECTION"
    )


@pytest.mark.parametrize(
    "text",
    [
        with_trigger("http: {}").replace("container: data", "container: ${STORAGE_KEY}!"),
        with_trigger("blob: {datastore: ds, path: '/${STORAGE_KEY}'}"),
        with_trigger("blob: {datastore: '${STORAGE_KEY}'}"),
        with_trigger("http: {}").replace("pipeline: scoring", "pipeline: ${STORAGE_KEY}"),
        with_trigger("http: {}").replace("${SCORING_ENDPOINT}", "${STORAGE_KEY}"),
        with_trigger('http: {}\nparameters: {x: "${SECRET_TEMPLATE}"}'),
        with_trigger('http: {}\nrun_type: "${STORAGE_KEY}"'),
        with_trigger('schedule: {cron: "${STORAGE_KEY}"}'),
        with_trigger('schedule: {frequency: day, interval: "${STORAGE_KEY}"}'),
    ],
)
def test_the_value_of_a_setting_is_never_repeated(problems_of: ProblemsOf, text: str) -> None:
    problems = problems_of(text)
    assert "hush" not in "".join(f"{one.where} {one.message}" for one in problems)


def test_a_number_whose_text_would_change_is_refused(problems_of: ProblemsOf) -> None:
    assert only(problems_of(with_trigger("http: {}\nparameters: {a: 1.10}"))) == (
        "triggers.t.parameters.a: found 1.10, which is a number and would be sent as 1.1; "
        'put it in quotes: "1.10"'
    )


@pytest.mark.parametrize(
    "number",
    ["0123", "1e3", "+5", ".5", "0x1F", "0o17", ".inf", "-.inf", ".nan", "1.", "9" * 20 + ".5"],
)
def test_every_such_number_is_refused(problems_of: ProblemsOf, number: str) -> None:
    problem = only(problems_of(with_trigger(f"http: {{}}\nparameters: {{a: {number}}}")))
    assert f"found {number}, which is a number and would be" in problem


@pytest.mark.parametrize(
    ("body", "key"),
    [("http: {}\nparameters: {a: }", "parameters.a"), ("schedule:", "schedule")],
)
def test_a_key_without_a_value_is_refused(problems_of: ProblemsOf, body: str, key: str) -> None:
    assert only(problems_of(with_trigger(body))) == (
        f"triggers.t.{key}: the key has no value; add one, or remove the key"
    )
