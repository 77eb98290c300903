"""YAML 1.2 with positions, and what is refused."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.config.document import Document
from shared.config.yaml_reader import NO_KEY, DocumentError, read_document


def read(text: str) -> Document:
    return read_document(text.encode())


def refusal(content: bytes | str) -> str:
    with pytest.raises(DocumentError) as caught:
        read_document(content if isinstance(content, bytes) else content.encode())
    problem = caught.value.problem
    position = f"{problem.line}:{problem.column}: " if problem.line else ""
    return f"{position}{problem.message}"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *[(word, word) for word in ("off", "on", "yes", "no", "y", "n", "Yes", "OFF", "<<")],
        *[(word, word) for word in ("12:30", "2027-01-01", "1_000", "0b1")],
        *[(word, None) for word in ("~", "null", "Null", "NULL", "")],
        *[(word, True) for word in ("true", "True", "TRUE")],
        *[(word, False) for word in ("false", "False", "FALSE")],
        ("tRUE", "tRUE"),
        ("12", 12),
        ("-12", -12),
        ("+12", 12),
        ("0123", 123),
        ("0o17", 15),
        ("0x1F", 31),
        ("-0x1F", "-0x1F"),
        ("1.5", 1.5),
        ("1.", 1.0),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("-1.5E-3", -0.0015),
        (".inf", math.inf),
        ("-.INF", -math.inf),
        (".", "."),
        ("1.2.3", "1.2.3"),
        ("'12'", "12"),
        ('"true"', "true"),
        ("! 12", "12"),
    ],
)
def test_plain_scalars_follow_the_core_schema(text: str, value: object) -> None:
    result = read(f"a: {text}").root.data()["a"]
    assert result == value
    assert type(result) is type(value)


def test_not_a_number_is_one_of_its_numbers() -> None:
    assert math.isnan(read("a: .nan").root.data()["a"])


def test_keys_are_text_as_written() -> None:
    assert read("1: a\nyes: b\n~: c\n1.0: d").root.data() == {
        "1": "a",
        "yes": "b",
        "~": "c",
        "1.0": "d",
    }


def test_a_duplicate_key_is_a_problem_and_the_first_one_stays() -> None:
    document = read("a:\n  b: 1\n  c: 2\n  'b': 3\n")
    assert document.root.data() == {"a": {"b": 1, "c": 2}}
    (problem,) = document.problems
    assert (problem.where, problem.line, problem.column) == ("a.b", 4, 3)
    assert problem.message == ("the key is a duplicate of the one in line 2; remove one of them")


def test_aliases_share_a_value() -> None:
    document = read("a: &x {b: [1]}\nc: *x\nd: [*x, *x]\n")
    assert document.root.data()["d"] == [{"b": [1]}, {"b": [1]}]
    assert document.value_position(("c", "b", 0)) == (1, 12)


def test_an_anchor_may_be_given_again() -> None:
    assert read("a: &x 1\nb: &x 2\nc: *x").root.data() == {"a": 1, "b": 2, "c": 2}


def bomb(levels: int) -> str:
    lines = ["a0: &a0 [x,x,x,x,x,x,x,x,x,x]"]
    lines += [f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty; it needs at least pipelines and triggers"),
        ("# only a comment\n", "the file is empty; it needs at least pipelines and triggers"),
        (b"a: 1\nb: \xff\n", "2:1: byte 8 is not UTF-8; save the file as UTF-8"),
        ("a: 1\n".encode("utf-16"), "1:1: byte 0 is not UTF-8; save the file as UTF-8"),
        (
            "a: b: c",
            "1:5: not YAML: mapping values are not allowed in this context; "
            "check the indentation of this line and of the one above, and put text with a colon in quotes",
        ),
        (
            "a:\n\tb: 1",
            "2:1: not YAML: while scanning for the next token, found character that cannot start "
            "any token; indent with spaces, not tabs, and put text that begins with @, ` or % in "
            "quotes",
        ),
        ("é: 1\nb: \x01", "2:4: found a control character, which YAML does not allow; remove it"),
        ("a: 1\n---\nb: 1", "2:1: a second document begins here; a file holds one"),
        ("a: &x [*x]", "1:8: *x is inside &x; a value cannot contain itself, so write it out"),
        ("a: *x", "1:4: *x has no &x before it; define &x first"),
        ("? [1]\n: 2", f"1:3: {NO_KEY}"),
        ("a: &x 1\n*x : 2", f"2:1: {NO_KEY}"),
        (
            "a: !!python/object:os.system x",
            "1:4: the tag tag:yaml.org,2002:python/object:os.system is not allowed; "
            "for text, write quotes",
        ),
        ("a: !!str 5", "1:4: the tag tag:yaml.org,2002:str is not allowed; for text, write quotes"),
        ("[" * 100_000, "1:33: values are nested more than 32 levels deep"),
        ("{a: " * 100_000, "1:129: values are nested more than 32 levels deep"),
        ("a: " + "9" * 5000, "1:4: the number is too long; put it in quotes"),
        (bomb(9), "4:38: aliases add more than 10000 values; use fewer"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_file_that_is_not_yaml_is_refused_with_the_position(
    content: bytes | str, message: str
) -> None:
    assert refusal(content) == message


def test_an_unfinished_value_is_refused_with_the_position() -> None:
    assert refusal("a: [1").startswith("2:1: not YAML: ")
    assert refusal("a: 'x").startswith("1:6: not YAML: ")


def test_a_byte_order_mark_is_fine() -> None:
    assert read_document(b"\xef\xbb\xbfa: 1").root.data() == {"a": 1}


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    try:
        read_document(content)
    except DocumentError as error:
        message = error.problem.message
    else:
        message = "read"
    assert message


trees = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-99, 99), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=4), trees, min_size=1))
def test_json_is_yaml(tree: dict[str, object]) -> None:
    import json

    # JSON's escapes of surrogate pairs and of DEL are no YAML, so characters go as they are.
    text = json.dumps(tree, ensure_ascii=False)
    try:
        document = read(text)
    except DocumentError:
        assert any(
            ord(character) in (*range(0x7F, 0xA0), 0xFEFF, 0xFFFE, 0xFFFF) for character in text
        )
    else:
        assert document.root.data() == tree


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("a: {b: ${NAME}}", '${NAME} must be in quotes: "${NAME}"'),
        ("a: [${NAME}]", '${NAME} must be in quotes: "${NAME}"'),
        ("a: {{ blob.path }}", 'put a value that begins with {{ in quotes: "{{ … }}"'),
    ],
)
def test_braces_that_need_quotes_are_recognised(text: str, hint: str) -> None:
    assert hint in refusal(text)


@pytest.mark.parametrize("separator", ["\x85", "\u2028", "\u2029"])
def test_an_invisible_line_separator_is_refused_and_its_escape_is_kept(separator: str) -> None:
    assert f"1:5: found the invisible line separator U+{ord(separator):04X}" in refusal(
        f'a: "{separator}"'
    )
    assert read(f'a: "\\u{ord(separator):04x}"').root.data() == {"a": separator}
