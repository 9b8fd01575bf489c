"""``epoch_log`` between references, and the preview of a revert."""

from __future__ import annotations

from tests.conftest import Repo, begun


@begun(
    "CREATE TABLE numbers (n INTEGER PRIMARY KEY, a INTEGER, b INTEGER);"
    "INSERT INTO numbers SELECT i, i, i FROM range(10) AS r (i)"
)
def numbers(repo: Repo) -> None:
    """Ten rows."""


def test_the_log_without_what_another_reference_reaches(numbers: Repo) -> None:
    for branch, row in (("left", 11), ("right", 12)):
        numbers("CALL epoch_checkout('main')")
        numbers("CALL epoch_checkout(?, new_branch := true)", branch)
        numbers("INSERT INTO numbers VALUES (?, 0, 0)", row)
        numbers.commit(branch)
    numbers("CALL epoch_merge('left')")

    def log(*arguments: str) -> list[str]:
        return [message for (message,) in numbers(f"SELECT message FROM epoch_log({', '.join(arguments)})")]

    assert log("'right'", "exclude := 'main'") == ["Merge left into right", "right", "left"]
    assert log("'right'", "exclude := 'left'") == ["Merge left into right", "right"]
    assert log("'right'", "exclude := 'left'", "max_count := 1") == ["Merge left into right"]
    assert log("'right'", "exclude := 'main'", "first_parent := true") == ["Merge left into right", "right"]
    assert log("'main'", "exclude := 'right'") == log("'left'", "exclude := 'left'") == []
    assert log("'main'", "all_refs := true", "exclude := 'left'") == ["Merge left into right", "right"]


def test_a_preview_of_a_revert_is_what_the_revert_does(numbers: Repo) -> None:
    numbers("UPDATE numbers SET a = -a WHERE n < 5")
    numbers("DELETE FROM numbers WHERE n = 9")
    numbers("ALTER TABLE numbers ADD COLUMN c INTEGER")
    numbers.commit("wrong")
    wrong = numbers.head()
    numbers("UPDATE numbers SET b = 0 WHERE n = 1")
    numbers.commit("later")
    before = numbers.head()
    asked = "(?, target := 'main', revert := true)"
    seen = [numbers(f"FROM epoch_preview_{what}{asked}", wrong) for what in ("diff_stat", "schema_diff", "conflicts")]
    rows = numbers("FROM epoch_preview_diff(?, target := 'main', table_name := 'numbers', revert := true)", wrong)
    assert numbers.head() == before
    numbers("CALL epoch_revert(?)", wrong)
    assert seen == [
        numbers("FROM epoch_diff_stat(?, 'HEAD')", before),
        numbers("FROM epoch_schema_diff(?, 'HEAD')", before),
        [],
    ]
    assert sorted(rows, key=repr) == sorted(
        numbers("FROM epoch_diff(?, 'HEAD', table_name := 'numbers')", before), key=repr
    )
    assert len(rows) == 5
