"""Names of branches and tags: git's rules, what Epoch reserves, and what is suggested instead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from epoch_sql.characters import has_hidden, visible
from epoch_sql.errors import EpochReferenceError
from epoch_sql.model.names import (
    check_identity,
    check_ref_name,
    is_line,
    is_valid_ref_name,
    nearest_valid_name,
    suggest,
)

VALID = [
    "main",
    "feature/orders",
    "v1.0.0",
    "a",
    "a.b",
    "a-",
    "1a2b3c4",
    "deadbeef",
    "select",
    "Größe",
    "日本語",
    "🦆",
    "user@host",
    "a@",
    "@/a",
    "a{b}",
    "feature/HEAD",
    "HEADS",
    "working-copy",
    "refs/heads/main",
    "x.lock.y",
    "x.LOCK",
    "a,b;c$d&e(f)",
    "50%",
    "a#b",
    "a=b",
    "a|b<c>d!",
]

INVALID = {
    "": "is empty",
    "@": "is @, which means HEAD",
    "HEAD": "is reserved",
    "head": "is reserved",
    "WORKING": "is reserved",
    "Working": "is reserved",
    "a b": "contains a space",
    "a~b": "contains ~",
    "a^b": "contains ^",
    "a:b": "contains :",
    "a?b": "contains ?",
    "a*b": "contains *",
    "a[b": "contains [",
    "a\\b": "contains \\",
    "a'b": "contains '",
    'a"b': 'contains "',
    "a`b": "contains `",
    "a\tb": "contains a control character",
    "a\nb": "contains a control character",
    "a\x00b": "contains a control character",
    "a\x7fb": "contains a control character",
    "a\u2028b": "contains a control character",
    "a\ud800b": "contains a control character",
    "-a": "begins with -, like an option",
    "/a": "begins with /",
    "a/": "ends with /",
    "a//b": "contains //",
    "/": "begins with /",
    "a..b": "contains .., which separates the ends of a range",
    "a@{b": "contains @{, which asks for an earlier value",
    ".a": "has a part that begins with .",
    "a/.b": "has a part that begins with .",
    "a.lock": "has a part that ends with .lock",
    "a.lock/b": "has a part that ends with .lock",
    ".": "has a part that begins with .",
    "a.": "ends with .",
}


@pytest.mark.parametrize("name", VALID)
def test_valid_names(name: str) -> None:
    check_ref_name(name)
    assert nearest_valid_name(name) == name


@pytest.mark.parametrize(("name", "clause"), INVALID.items())
def test_an_invalid_name_says_which_rule_it_breaks(name: str, clause: str) -> None:
    with pytest.raises(EpochReferenceError) as raised:
        check_ref_name(name)
    assert raised.value.message.endswith(f"is not a valid name: it {clause}")
    assert len(raised.value.message.splitlines()) == 1
    raised.value.message.encode()


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("my branch", "my-branch"),
        ("feature/", "feature"),
        ("a..b", "a.b"),
        ("a//b", "a/b"),
        (".hidden/x", "hidden/x"),
        ("x.lock", "x"),
        ("x.lock.lock", "x"),
        ("--force", "force"),
        ("it's", "it-s"),
        ("HEAD", "my-head"),
        ("@", "at"),
        ("main@{1}", "main@-1}"),
        ("", "my-branch"),
        ("...", "my-branch"),
        ("release v1.0.", "release-v1.0"),
    ],
)
def test_the_hint_is_a_valid_name_near_to_it(name: str, nearest: str) -> None:
    with pytest.raises(EpochReferenceError) as raised:
        check_ref_name(name)
    assert raised.value.hint == f"try '{nearest}'"
    check_ref_name(nearest)


@given(st.text(alphabet=st.sampled_from("ab./-@{~ \\'\n.lockHEAD"), max_size=12) | st.text(max_size=12))
def test_every_name_has_a_valid_one_near(name: str) -> None:
    nearest = nearest_valid_name(name)
    assert is_valid_ref_name(nearest)
    assert nearest == name or not is_valid_ref_name(name)


def test_a_long_name_is_cut_in_the_message() -> None:
    with pytest.raises(EpochReferenceError) as raised:
        check_ref_name("x" * 10_000 + " ")
    assert len(raised.value.message) < 200


BRANCHES = ["main", "staging", "production", "development", "feature/orders", "feature/prices", "Main2", "v1.0", "v1.1"]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("stagng", ["staging"]),
        ("STAGING", ["staging"]),
        ("mian", ["main", "Main2"]),
        ("prod", ["production"]),
        ("dev", ["development"]),
        ("orders", ["feature/orders"]),
        ("feature", ["feature/prices", "feature/orders"]),
        ("v1", ["v1.1", "v1.0"]),
        ("zzz", []),
        ("", []),
    ],
)
def test_suggestions(name: str, nearest: list[str]) -> None:
    assert suggest(name, BRANCHES) == nearest


def test_at_most_three_suggestions() -> None:
    assert len(suggest("feature", [f"feature/{n}" for n in range(100)])) == 3


def test_suggestions_do_not_depend_on_the_order_of_the_candidates() -> None:
    assert suggest("mian", BRANCHES) == suggest("mian", reversed(BRANCHES))


HIDDEN = {
    "right-to-left override": "\u202e",
    "isolate": "\u2066",
    "right-to-left mark": "\u200f",
    "zero-width space": "\u200b",
    "zero-width joiner": "\u200d",
    "soft hyphen": "\u00ad",
    "byte order mark": "\ufeff",
    "tag": "\U000e0041",
    "escape": "\x1b",
    "C1 control": "\x9b",
    "newline": "\n",
    "line separator": "\u2028",
    "paragraph separator": "\u2029",
    "half a character": "\ud800",
}


@pytest.mark.parametrize("character", HIDDEN.values(), ids=HIDDEN)
def test_names_have_no_characters_that_nobody_sees(character: str) -> None:
    for name in (character, f"a{character}b", f"main{character}"):
        assert not is_valid_ref_name(name) and not is_line(name)
        assert is_valid_ref_name(nearest_valid_name(name))
        with pytest.raises(EpochReferenceError) as refused:
            check_identity(f"Ada{character} <ada@x>")
        assert not has_hidden(str(refused.value))
        told = EpochReferenceError(f"there is no {name}", f"try {name}")
        assert not has_hidden(str(told)) and not has_hidden(visible(name))


@pytest.mark.parametrize("name", ["Zoë", "日本語", "Ада", "naïve", "a_b", "🦆", "e\u0301"])
def test_letters_of_every_script_are_seen(name: str) -> None:
    assert is_valid_ref_name(name) and is_line(f"{name} B <b@x>")
    assert visible(name) == name
