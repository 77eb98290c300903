"""A file as a tree: paths and positions."""

from __future__ import annotations

from shared.config.document import Document, dotted
from shared.config.yaml_reader import read_document


def read(text: str) -> Document:
    return read_document(text.encode())


def test_keys_and_values_have_positions() -> None:
    document = read("é: 1\na:\n  b: [x,  {c: 1.10}]\n")
    assert document.key_position(("a", "b")) == (3, 3)
    assert document.value_position(("a", "b")) == (3, 6)
    assert document.value_position(("a", "b", 1, "c")) == (3, 15)
    assert document.key_position(("a", "b", 1, "c")) == (3, 12)
    assert document.key_position(("a", "b", 0)) == (3, 7)
    node = document.find(("a", "b", 1, "c"))
    assert node is not None
    assert node.written == "1.10"
    assert document.find(("a", "x")) is None
    assert document.find(("é", "x")) is None


def test_a_missing_key_has_the_position_of_the_nearest_key_above() -> None:
    document = read("a:\n  b: {c: 1}\n")
    assert document.key_position(("a", "b", "missing")) == (2, 3)
    assert document.value_position(("a", "b", "missing")) == (2, 3)
    assert document.key_position(("nothing",)) == (1, 1)


def test_paths_are_written_with_dots_and_brackets() -> None:
    assert dotted(("triggers", "new-data", "blob", "include", 0)) == (
        "triggers.new-data.blob.include[0]"
    )
    assert dotted(()) == "the file"
