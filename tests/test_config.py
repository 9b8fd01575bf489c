"""Which database a command works on, who signs, and the settings files."""

from __future__ import annotations

from pathlib import Path

import pytest

from epoch_sql import config
from epoch_sql.advice import Suggestion
from epoch_sql.errors import EpochRepositoryError


@pytest.fixture(autouse=True)
def no_settings_from_outside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home-config"))
    monkeypatch.delenv("EPOCH_DB", raising=False)
    monkeypatch.delenv("EPOCH_AUTHOR", raising=False)
    monkeypatch.setattr(config, "user_config", lambda: tmp_path / "home-config" / "config.toml")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    database = tmp_path / "project" / "shop.duckdb"
    database.parent.mkdir()
    database.touch()
    config.name_database(database)
    return database


def test_folder_is_beside_the_database(tmp_path: Path) -> None:
    assert config.repository_folder(tmp_path / "a b" / "shop.duckdb") == (tmp_path / "a b").resolve() / ".epoch"


def test_folder_of_a_linked_database_is_beside_the_file_itself(shop: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.duckdb"
    link.symlink_to(shop)
    assert config.repository_folder(link) == shop.parent / ".epoch"


def test_nearest_repository_upwards_names_the_database(shop: Path) -> None:
    below = shop.parent / "models" / "staging"
    below.mkdir(parents=True)
    assert config.find_database(below) == shop
    assert config.find_database(shop.parent) == shop


def test_a_nearer_repository_wins(shop: Path) -> None:
    inner = shop.parent / "inner" / "other.duckdb"
    inner.parent.mkdir()
    inner.touch()
    config.name_database(inner)
    assert config.find_database(inner.parent) == inner


def test_explicit_database_beats_the_environment_and_the_folder(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("named.duckdb", "environment.duckdb"):
        (tmp_path / name).touch()
    monkeypatch.setenv("EPOCH_DB", str(tmp_path / "environment.duckdb"))
    assert config.find_database(shop.parent, str(tmp_path / "named.duckdb")) == tmp_path / "named.duckdb"
    assert config.find_database(shop.parent) == tmp_path / "environment.duckdb"


def test_no_repository_names_epoch_init(tmp_path: Path) -> None:
    with pytest.raises(EpochRepositoryError) as refused:
        config.find_database(tmp_path)
    assert refused.value.suggestion == Suggestion("init")


def test_a_database_that_is_gone_is_named(shop: Path) -> None:
    shop.unlink()
    with pytest.raises(EpochRepositoryError, match=r"shop\.duckdb"):
        config.find_database(shop.parent)


def test_a_folder_serves_one_database(shop: Path) -> None:
    config.name_database(shop)
    with pytest.raises(EpochRepositoryError, match=r"belongs to shop\.duckdb"):
        config.name_database(shop.parent / "second.duckdb")


@pytest.mark.parametrize(
    ("environment", "name", "mail", "expected"),
    [
        ("Env <e@x>", "Ada", "ada@x", "Env <e@x>"),
        (None, "Ada", "ada@x", "Ada <ada@x>"),
        (None, "Ada", None, "Ada"),
        (None, 'Ada "the" Countess', "ada@x", 'Ada "the" Countess <ada@x>'),
        ("  ", "Ada", None, "Ada"),
    ],
)
def test_author(
    shop: Path,
    monkeypatch: pytest.MonkeyPatch,
    environment: str | None,
    name: str | None,
    mail: str | None,
    expected: str,
) -> None:
    if environment is not None:
        monkeypatch.setenv("EPOCH_AUTHOR", environment)
    for key, value in (("user.name", name), ("user.email", mail)):
        if value is not None:
            config.set_value(config.repository_config(shop), key, value)
    assert config.default_author(shop.parent / ".epoch")[0] == expected


def test_author_falls_back_to_the_operating_system(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.getpass, "getuser", lambda: "grace")
    monkeypatch.setattr(config.socket, "gethostname", lambda: "host")
    assert config.default_author(shop.parent / ".epoch") == ("grace <grace@host>", "system")


def test_repository_settings_come_before_the_users(shop: Path) -> None:
    folder = shop.parent / ".epoch"
    config.set_value(config.user_config(), "user.name", "User")
    assert config.get("user.name", folder) == "User"
    config.set_value(folder / "config.toml", "user.name", "Repository")
    assert config.get("user.name", folder) == "Repository"
    assert [setting.value for setting in config.settings(folder) if setting.key == "user.name"] == [
        "Repository",
        "User",
    ]


def test_setting_keeps_comments_and_other_values(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('# who\n[user]\nname = "Ada" # first\nother = 3\n', encoding="utf-8")
    config.set_value(file, "user.name", "Grace 🎉")
    assert file.read_text(encoding="utf-8") == '# who\n[user]\nname = "Grace 🎉" # first\nother = 3\n'


def test_unset_removes_one_value(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    config.set_value(file, "user.name", "Ada")
    config.set_value(file, "user.email", "ada@x")
    config.unset(file, "user.name")
    assert config.read(file) == {"user": {"email": "ada@x"}}
    with pytest.raises(config.EpochConfigError, match=r"user\.name is not set"):
        config.unset(file, "user.name")


@pytest.mark.parametrize("key", ["", "a..b", ".a", "a."])
def test_a_key_with_an_empty_part_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(config.EpochConfigError):
        config.set_value(tmp_path / "config.toml", key, "x")
    assert not (tmp_path / "config.toml").exists()


def test_a_value_is_no_section(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    config.set_value(file, "user", "x")
    with pytest.raises(config.EpochConfigError, match="user is a value"):
        config.set_value(file, "user.name", "Ada")
    assert config.read(file) == {"user": "x"}


def test_a_broken_file_is_named_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text("user = [", encoding="utf-8")
    for attempt in (
        lambda: config.read(file),
        lambda: config.set_value(file, "a", "b"),
        lambda: config.unset(file, "a"),
    ):
        with pytest.raises(config.EpochConfigError, match=r"config\.toml"):
            attempt()
    assert file.read_text(encoding="utf-8") == "user = ["
