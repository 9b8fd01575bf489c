"""Finds the repository, and reads and writes the settings of ``.epoch/config.toml`` and of the user."""

from __future__ import annotations

import getpass
import os
import socket
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from epoch_sql.advice import Suggestion
from epoch_sql.errors import EpochConfigError, EpochRepositoryError, RepositoryNotFound

FOLDER = ".epoch"
FILE = "config.toml"
READERS = "files.readers"
SPARK = "spark"


Origin = Literal["connection", "EPOCH_AUTHOR", "configuration", "system"]
"""Where an author comes from: the opened connection, a variable, a setting, or the operating system."""


@dataclass(frozen=True)
class Setting:
    """One setting. ``key`` is dotted (``user.name``), and ``origin`` is its file."""

    key: str
    value: str
    origin: Path


@dataclass(frozen=True)
class Link:
    """What makes a database a linked worktree: its id, and the database of the main worktree."""

    worktree_id: str
    main: Path


def repository_folder(database: Path) -> Path:
    """The ``.epoch`` folder of a database file: beside the file, after following links."""
    return database.resolve().parent / FOLDER


def repository_config(database: Path) -> Path:
    """The settings file of the repository of a database."""
    return repository_folder(database) / FILE


def link_of(folder: Path) -> Link | None:
    """What a repository's folder says of the main worktree; None if it is its own."""
    try:
        stated = read(folder / FILE).get("worktree")
    except EpochConfigError:
        # Only the main one has objects. Then the settings are not needed, and whoever needs them says what is wrong.
        if (folder / "objects").is_dir():
            return None
        raise
    if not isinstance(stated, Mapping):
        return None
    worktree_id, main = stated.get("id"), stated.get("main")
    if not isinstance(worktree_id, str) or not isinstance(main, str) or not main:
        raise EpochConfigError(
            f"{folder / FILE} does not say which worktree this is", "write worktree.id and worktree.main in it"
        )
    return Link(worktree_id, Path(main).resolve())


def is_worktree(database: Path, link: Link) -> bool:
    """Whether a database is there, and is that worktree of that main one: a copy of the main one has none."""
    return database.is_file() and link_of(repository_folder(database)) == link


def user_config() -> Path:
    """The settings file of the user, for all repositories."""
    from platformdirs import user_config_path

    return user_config_path("epoch", appauthor=False) / FILE


def find_database(start: Path, explicit: str | None = None) -> Path:
    """The database to work on: ``explicit``, or else EPOCH_DB, or else the one that the nearest ``.epoch`` folder
    upwards names.

    Raises EpochRepositoryError if there is no such folder, or if the file does not exist.
    """
    named = explicit or os.environ.get("EPOCH_DB")
    if named:
        return _existing(start / Path(named).expanduser(), "name one that exists")
    start = start.resolve()
    for folder in (start, *start.parents):
        config = folder / FOLDER / FILE
        if config.is_file():
            return _database_of(config)
    raise RepositoryNotFound(f"no Epoch repository in {start} or above it", Suggestion("init"))


def readers(folder: Path) -> str | None:
    """The programs whose readers the files of a repository are written for, or None for DuckDB's.

    ``folder`` is the ``.epoch`` folder that has the files. Raises EpochConfigError if they are not known.
    """
    stated = get(READERS, folder)
    if stated not in (None, SPARK):
        message = f"{READERS} is {stated!r}, and the readers that files can be written for are {SPARK}"
        raise EpochConfigError(message, f"set it to {SPARK}, or unset it", key=READERS)
    return stated


def write_for(folder: Path, wanted: str) -> None:
    """Have files written for some readers from now on."""
    if readers(folder) != wanted:
        set_value(folder / FILE, READERS, wanted)


def name_database(database: Path) -> None:
    """Records in ``.epoch/config.toml`` which database the repository belongs to.

    Raises EpochRepositoryError when the folder already belongs to another database.
    """
    config = repository_config(database)
    named = read(config).get("database")
    name = database.resolve().name
    if named is not None and named != name:
        raise EpochRepositoryError(
            f"{config.parent} belongs to {named}; there is one repository in a folder",
            (f"move {name} to a folder of its own, then ", Suggestion("init")),
            database=name,
        )
    if named is None:
        set_value(config, "database", name)


def default_author(folder: Path | None = None) -> tuple[str, Origin]:
    """``Name <mail>`` for commits: EPOCH_AUTHOR, or else user.name and user.email of the settings, or else the OS user;
    and where it comes from.

    ``folder`` is the repository's ``.epoch`` folder, whose settings come before the user's.
    """
    stated = os.environ.get("EPOCH_AUTHOR", "").strip()
    if stated:
        return stated, "EPOCH_AUTHOR"
    name = get("user.name", folder)
    mail = get("user.email", folder)
    if name is None and mail is None:
        login = _login()
        return f"{login} <{login}@{socket.gethostname()}>", "system"
    name = name if name is not None else _login()
    return f"{name} <{mail}>" if mail else name, "configuration"


def get(key: str, folder: Path | None = None) -> str | None:
    """The value of a dotted key: the repository's (``folder`` is its ``.epoch``), or else the user's, or else None."""
    return next((setting.value for setting in settings(folder) if setting.key == key), None)


def settings(folder: Path | None = None) -> list[Setting]:
    """Every setting in force or overridden, the repository's before the user's."""
    files = [*([folder / FILE] if folder else []), user_config()]
    return [setting for file in files for setting in settings_of(file)]


def settings_of(file: Path) -> list[Setting]:
    """Every setting of one file."""
    return [Setting(key, value, file) for key, value in _flat(read(file))]


def set_value(file: Path, key: str, value: str) -> None:
    """Writes one setting, keeping the file's other lines and comments as they are."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    *sections, name = _parts(key)
    try:
        document = tomlkit.parse(_text(file))
    except TOMLKitError as error:
        raise EpochConfigError(f"{file}: {error}", "correct the file by hand", file=str(file)) from error
    table: Any = document
    for section in sections:
        table = table.setdefault(section, tomlkit.table())
        if not isinstance(table, Mapping):
            message = f"{section} is a value in {file}, so {key} cannot be set"
            raise EpochConfigError(message, f"remove {section} from it first", key=key, file=str(file))
    table[name] = value
    _replace(file, tomlkit.dumps(document))


def unset(file: Path, key: str) -> None:
    """Removes one setting. Raises EpochConfigError if the file does not have it."""
    import tomlkit

    *sections, name = _parts(key)
    read(file)
    document = tomlkit.parse(_text(file))
    table: Any = document
    for section in sections:
        table = table.get(section, {}) if isinstance(table, Mapping) else {}
    if not isinstance(table, Mapping) or name not in table:
        raise EpochConfigError(f"{key} is not set in {file}", key=key, file=str(file))
    del table[name]  # type: ignore[attr-defined]  # every table of a tomlkit document is mutable
    _replace(file, tomlkit.dumps(document))


def read(file: Path) -> dict[str, Any]:
    """The settings of one file as nested dictionaries. Empty if the file does not exist."""
    try:
        return tomllib.loads(_text(file))
    except tomllib.TOMLDecodeError as error:
        raise EpochConfigError(f"{file}: {error}", "correct the file by hand", file=str(file)) from error


def _database_of(config: Path) -> Path:
    named = read(config).get("database")
    if not isinstance(named, str) or not named:
        raise RepositoryNotFound(f"{config} names no database", 'write database = "FILE" in it')
    return _existing(config.parent.parent / named, f"correct {config}, if it was renamed or moved")


def _existing(database: Path, advice: str) -> Path:
    if not database.is_file():
        raise RepositoryNotFound(f"no database {database}", advice, database=str(database))
    return database


def _parts(key: str) -> list[str]:
    parts = key.split(".")
    if not all(parts):
        message = f"'{key}' is not a setting: names are joined by dots"
        raise EpochConfigError(message, "for example user.name", key=key)
    return parts


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        key = f"{prefix}{name}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{key}.")
        else:
            yield key, str(value).lower() if isinstance(value, bool) else str(value)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise EpochConfigError(f"{file} cannot be read: {error}", file=str(file)) from error


def _replace(file: Path, text: str) -> None:
    """Writes a temporary file and renames it, so that no reader and no crash leaves half a file."""
    aside = file.with_name(f"{file.name}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with aside.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
        aside.replace(file)
    except OSError as error:
        with suppress(OSError):
            aside.unlink(missing_ok=True)
        message = f"{file} cannot be written: {error.strerror or error}"
        advice = "free space or make its folder writable, then retry"
        raise EpochConfigError(message, advice, file=str(file)) from error


def _login() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid{os.getuid()}"
