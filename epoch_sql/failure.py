"""What every error of Epoch is: what is wrong in one line, the facts as attributes, and what to do next."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from epoch_sql.advice import Advice, Suggestion, spelled
from epoch_sql.characters import visible


@dataclass(eq=False, repr=False)
class EpochError(Exception):
    """A request that was refused or failed; nothing was changed.

    ``message`` is one line for people, ``advice`` what to do next (or None). Whatever else an error has are its facts.
    """

    message: str
    advice: Advice | None = None
    exit_code: ClassVar[int] = 1
    """What the command line exits with."""

    def __post_init__(self) -> None:
        # It may name what others named.
        self.message = visible(self.message)

    def __reduce__(self) -> tuple[Any, ...]:
        return _remade, (type(self), vars(self))

    def __str__(self) -> str:
        return self.message + (f" (hint: {self.hint})" if self.hint else "")

    @property
    def kind(self) -> str:
        """The name that the error has in SQL: of its nearest class that begins with Epoch."""
        return next(c.__name__ for c in type(self).__mro__ if c.__name__.startswith("Epoch"))

    @property
    def hint(self) -> str | None:
        """What to do next, in Python."""
        return self.hinted(str)

    def hinted(self, spell: Callable[[Suggestion], str]) -> str | None:
        """What to do next, with suggestions spelled for one surface."""
        return spelled(self.advice, spell) if self.advice else None

    @property
    def suggestion(self) -> Suggestion | None:
        """The first verb that the advice names."""
        parts = self.advice if isinstance(self.advice, tuple) else (self.advice,)
        return next((part for part in parts if isinstance(part, Suggestion)), None)

    @property
    def facts(self) -> dict[str, Any]:
        """What the error is about, by the names of its attributes."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("message", "advice")}


def _remade(error_class: type[EpochError], attributes: dict[str, Any]) -> EpochError:
    error = error_class.__new__(error_class)
    vars(error).update(attributes)
    return error
