"""Single values of the file: what is allowed, and what is said about the rest."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pydantic import ValidationError

from shared.config.schema import checks as rules
from shared.config.schema.file import (
    BlobEntry,
    DatastoreEntry,
    HttpEntry,
    PipelineEntry,
    TriggerEntry,
    TriggersFile,
    WorkspaceEntry,
)
from shared.config.schema.schedule import ScheduleEntry
from shared.config.schema.values import DatasetEntry, Entry, PlaceEntry

MODELS: list[type[Entry]] = [
    TriggersFile, WorkspaceEntry, DatastoreEntry, PipelineEntry, TriggerEntry, ScheduleEntry,
    BlobEntry, HttpEntry, PlaceEntry, DatasetEntry,
]  # fmt: skip


@pytest.mark.parametrize("model", MODELS)
def test_every_key_is_described_and_has_an_example(model: type[Entry]) -> None:
    assert model.title
    for name, field in model.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name
        assert field.examples, name


@pytest.mark.parametrize("model", MODELS)
def test_examples_are_valid(model: type[Entry]) -> None:
    for name, field in model.model_fields.items():
        required = {
            other: one.examples[0]
            for other, one in model.model_fields.items()
            if one.is_required() and one.examples
        }
        for example in field.examples or []:
            needs = {"frequency": "minute"} if model is ScheduleEntry and name != "cron" else {}
            needs = {"name": "weights"} if model is DatasetEntry else needs
            model.model_validate({**required, **needs, field.alias or name: example})


@pytest.mark.parametrize("model", MODELS)
def test_unknown_keys_are_refused(model: type[Entry]) -> None:
    with pytest.raises(ValidationError) as caught:
        model.model_validate({"nonsense": 1})
    assert "extra_forbidden" in {error["type"] for error in caught.value.errors()}


GOOD: list[tuple[Callable[[str], str], str]] = [
    (rules.name, "a"),
    (rules.name, "a" * 63),
    (rules.name, "every-15-minutes"),
    (rules.connection, "DataStorage"),
    (rules.connection, "Data__storage"),
    (rules.container, "abc"),
    (rules.container, "azureml-blobstore-0a1b"),
    (rules.container, "0" * 63),
    (rules.container, "$root"),
    (rules.container, "$web"),
    (rules.container, "$logs"),
    (rules.folder, ""),
    (rules.folder, "incoming"),
    (rules.folder, "incoming/a b/é+#?"),
    (rules.folder, "...a/..b"),
    (rules.pattern, "*.csv"),
    (rules.pattern, "**/*.csv"),
    (rules.pattern, "a/**"),
    (rules.start, "now"),
    (rules.start, "beginning"),
    (rules.start, "2027-03-27T01:30:00Z"),
    (rules.start, "2027-03-27T01:30:00+02:00"),
    (rules.scope, "https://management.azure.com/.default"),
    (rules.scope, "https://ml.azure.com/.default"),
]


@pytest.mark.parametrize(("rule", "text"), GOOD)
def test_a_good_value_stays_as_it_is(rule: Callable[[str], str], text: str) -> None:
    assert rule(text) == text


BAD: list[tuple[Callable[[str], str], str, str]] = [
    *[(rules.name, text, "a name has 1 to 63") for text in ("", "A", "1a", "a_b", "a" * 64, "a\n")],
    (rules.connection, "AccountKey=x;", "never a connection string"),
    (rules.connection, "%X%", "a connection is the name of an app setting"),
    *[
        (rules.container, text, "a container's name has 3 to 63")
        for text in ("ab", "a" * 64, "Abc", "-abc", "abc-", "a--b", "a_b", "$other", "abc\n")
    ],
    *[(rules.folder, text, "may not hold {, } or %") for text in ("{a}", "a}", "50%")],
    (rules.folder, "incoming/*.csv", "path is a folder, not a pattern"),
    (rules.pattern, "*.{csv,json}", "list one pattern for each"),
    *[
        (rules.folder, text, "no / at its start")
        for text in ("/", "/a", "a//b", "a//", "a/../b", "..", ".", "a\\b")
    ],
    *[(rules.pattern, text, "matched against the path below") for text in ("", "/a", "a/", "a//b")],
    *[(rules.pattern, text, "** stands alone") for text in ("**.csv", "a**/b")],
    *[
        (rules.start, text, "allowed are now, beginning, or an instant with its zone")
        for text in ("later", "2027-01-01", "2027-03-27T01:30:00", "")
    ],
    *[
        (rules.scope, text, "a scope is https://<resource>/.default")
        for text in ("https://management.azure.com", "http://x/.default", "x/.default", "https:///.default")
    ],
]  # fmt: skip


@pytest.mark.parametrize(("rule", "text", "message"), BAD)
def test_a_bad_value_is_refused_without_repeating_it(
    rule: Callable[[str], str], text: str, message: str
) -> None:
    with pytest.raises(ValueError) as caught:
        rule(text)
    assert message in str(caught.value)
    assert len(text) < 20 or text not in str(caught.value)


def test_a_slash_at_a_folders_end_is_dropped() -> None:
    assert rules.folder("incoming/daily/") == "incoming/daily"
