"""What to do next, after an error: advice that fits everywhere ("free space, then retry"), and verbs to call.

Each surface spells a verb in its own words: Python here, SQL in ``extension.failing``, commands in ``cli.suggested``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from epoch_sql.characters import visible

Value = str | bool | int | tuple[str, ...]


@dataclass(frozen=True, init=False)
class Suggestion:
    """A verb to call next, by its name in the library, and its arguments.

    ``Suggestion("merge", "staging", into="production")`` reads ``repo.merge("staging", into="production")`` in Python,
    ``CALL epoch_merge('staging', target := 'production')`` in SQL, and ``epoch merge staging --into production`` on the
    command line. The reader replaces words in capitals.
    """

    verb: str
    arguments: tuple[Value, ...]
    options: Mapping[str, Value]

    def __init__(self, verb: str, /, *arguments: Value, **options: Value | None) -> None:
        object.__setattr__(self, "verb", verb)
        object.__setattr__(self, "arguments", arguments)
        given = {name: value for name, value in options.items() if value is not None and value is not False}
        object.__setattr__(self, "options", given)

    def __str__(self) -> str:
        """The call in Python."""
        new = self.verb in _MAKING
        arguments = (*self.arguments, "DATABASE") if new else self.arguments
        options = [f"{name}={_literal(value)}" for name, value in self.options.items()]
        called = f"{'epoch_sql' if new else 'repo'}.{self.verb}"
        return f"{called}({', '.join([*map(_literal, arguments), *options])})"


_MAKING = ("init", "clone")
"""These verbs create a repository, so they are not methods of one."""


Advice = str | Suggestion | tuple[str | Suggestion, ...]
"""What to do next: texts and suggestions, read one after the other."""


def spelled(advice: Advice, spell: Callable[[Suggestion], str]) -> str:
    """Advice as one text, with its suggestions spelled for one surface."""
    parts = advice if isinstance(advice, tuple) else (advice,)
    return visible("".join(spell(part) if isinstance(part, Suggestion) else part for part in parts))


def did_you_mean(names: Sequence[str], quote: Callable[[str], str] = str) -> str | None:
    """``did you mean orders or order_items?`` of names that are near; None where none is."""
    return f"did you mean {' or '.join(map(quote, names))}?" if names else None


def to_resolve(into: str | None, conflicts: int) -> Advice:
    """What leads out of conflicts or violations; ``into`` is the target where it is not the checked-out branch."""
    look = Suggestion("conflicts" if conflicts else "violations", into=into)
    resolve = Suggestion("resolve", side="theirs", into=into)
    return look, "; ", resolve, "; then ", Suggestion("merge_continue", into=into)


def to_finish(into: str | None) -> Advice:
    """What ends a merge, with or without its result."""
    return Suggestion("merge_continue", into=into), ", or ", Suggestion("merge_abort", into=into)


def _literal(value: Value) -> str:
    """A value in Python, a text in double quotes where that needs no backslash."""
    if isinstance(value, tuple):
        return f"[{', '.join(map(_literal, value))}]"
    text = repr(value)
    return f'"{text[1:-1]}"' if isinstance(value, str) and '"' not in value and "'" not in value else text
