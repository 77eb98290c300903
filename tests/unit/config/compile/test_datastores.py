"""Datastores, and the connections that blob triggers need."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.config.load import load_config
from shared.config.model import Datastore
from shared.core.errors import FileError
from tests.unit.config.files import SETTINGS, Load, with_trigger


def connection_problem(connection: str) -> str | None:
    return None if connection == "OtherStorage" else f"no settings for {connection}"


def problems_with(tmp_path: Path, text: str) -> list[tuple[str, str]]:
    """Return the problems of a file for which only the connection OtherStorage can be used."""
    file = tmp_path / "triggers.yaml"
    file.write_text(text, encoding="utf-8")
    try:
        load_config(file, settings=SETTINGS, connection_problem=connection_problem)
    except FileError as error:
        return [(one.where, one.message) for one in error.problems]
    return []


def test_datastores_have_their_names_in_azure_ml(load: Load) -> None:
    assert load(with_trigger("http: {}")).datastores == {
        "ds": Datastore(name="ds", connection="DataStorage", container="data"),
        "other": Datastore(name="other", connection="OtherStorage", container="other"),
    }


@pytest.mark.parametrize(
    ("body", "problems"),
    [
        ("http: {}", []),
        ("blob: {datastore: other}", []),
        (
            "blob: {datastore: ds}",
            [("datastores.ds.connection", "no settings for DataStorage")],
        ),
    ],
)
def test_only_connections_that_a_blob_trigger_needs_are_checked(
    tmp_path: Path, body: str, problems: list[tuple[str, str]]
) -> None:
    assert problems_with(tmp_path, with_trigger(body)) == problems


def test_the_connection_of_a_datastore_with_another_problem_is_checked_too(tmp_path: Path) -> None:
    text = with_trigger("blob: {datastore: ds}").replace("container: data", "container: D")
    assert [where for where, _ in problems_with(tmp_path, text)] == [
        "datastores.ds.connection",
        "datastores.ds.container",
    ]


def test_a_connection_with_a_problem_of_its_own_is_not_checked_again(tmp_path: Path) -> None:
    text = with_trigger("blob: {datastore: ds}").replace(
        "connection: DataStorage", "connection: a b"
    )
    ((where, message),) = problems_with(tmp_path, text)
    assert where == "datastores.ds.connection"
    assert message.startswith("found a b; a connection is the name of an app setting")
