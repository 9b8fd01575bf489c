"""The standard streams as a program finds them: closed, full, without a reader, or of an encoding that is not UTF-8."""

from __future__ import annotations

import codecs
import io
import os
import sys
from collections.abc import Callable

from epoch_sql.errors import EpochError

from .characters import json_escape

STANDARD_OUTPUT = 1


class ReaderLeft(Exception):
    """Nobody reads standard output any more."""


class OutputError(EpochError):
    """Standard output that does not take what is written."""


def prepare() -> None:
    """Give the program three open streams that take every character.

    What was closed becomes /dev/null, as git does it: else the next file that is opened, the database, would get its
    number, and messages.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdin = sys.stdin or open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - open until the program ends
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def write(content: str) -> None:
    """Writes to standard output; ReaderLeft when nobody reads it any more, OutputError when it takes no more."""
    _attempt(lambda: sys.stdout.write(content))


def flush() -> None:
    """Writes what is not written yet, as ``write`` does."""
    _attempt(sys.stdout.flush)


def give_up() -> None:
    """Lets what is not written yet go to /dev/null, so that Python does not fail to write it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), STANDARD_OUTPUT)


def carried(content: str) -> str:
    """The text with the characters that standard output's encoding lacks written as ``\\u00e4``."""
    encoding = sys.stdout.encoding or "utf-8"
    if codecs.lookup(encoding).name == "utf-8":
        return content
    return content.encode(encoding, "epoch-json").decode(encoding)


def _escape_rest(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return "".join(map(json_escape, error.object[error.start : error.end])), error.end


codecs.register_error("epoch-json", _escape_rest)


def _attempt(action: Callable[[], object]) -> None:
    try:
        action()
    except BrokenPipeError as error:
        # click would turn it into exit code 1, which says that the command failed.
        raise ReaderLeft from error
    except OSError as error:
        raise OutputError(f"cannot write to standard output: {error.strerror}") from error
