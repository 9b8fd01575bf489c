"""Standard streams in every condition: closed, full, without a reader, or in an encoding other than UTF-8."""

from __future__ import annotations

import codecs
import io
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO

from epoch_sql.characters import json_escape
from epoch_sql.errors import EpochOutputError

STANDARD_OUTPUT = 1


class ReaderLeft(Exception):
    """The reader of standard output has closed it."""


def prepare() -> None:
    """Give the program three open streams that take every character.

    A closed stream becomes /dev/null, as in git. Otherwise the next opened file, the database, would get its number,
    and with it the messages.
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
    """Writes to standard output; ReaderLeft when nobody reads it any more, EpochOutputError when it takes no more."""
    _attempt(lambda: sys.stdout.write(content))


def copy(source: BinaryIO) -> None:
    """Writes what a file holds to standard output, as ``write`` does."""
    flush()
    _attempt(lambda: shutil.copyfileobj(source, sys.stdout.buffer))


@contextmanager
def sink() -> Iterator[BinaryIO]:
    """Standard output for bytes, with the failures of ``write``."""
    flush()
    with _telling():
        yield sys.stdout.buffer


def flush() -> None:
    """Writes what is still buffered, as ``write`` does."""
    _attempt(sys.stdout.flush)


def give_up() -> None:
    """Sends what is still buffered to /dev/null, so that Python does not fail to write it at exit."""
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
    with _telling():
        action()


@contextmanager
def _telling() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        # click would turn it into exit code 1, as if the command had failed.
        raise ReaderLeft from error
    except OSError as error:
        raise EpochOutputError(f"cannot write to standard output: {error.strerror}") from error
