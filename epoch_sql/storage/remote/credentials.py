"""Credentials for S3, from the environment and the usual AWS chain. Epoch's settings never hold them, and nothing
stores them."""

from __future__ import annotations

import configparser
import importlib
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from epoch_sql.errors import EpochRemoteError

_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_ROLES = ("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI")


def s3_settings() -> dict[str, Any]:
    """The settings of S3Store besides the environment, which it reads itself.

    In the order of the AWS command line: keys in the environment, roles of the environment, the profile of
    ``~/.aws/credentials`` and ``~/.aws/config``, then what boto3 finds if it is installed (single sign-on, assumed
    roles), then the role of the machine.
    """
    profile = _profile()
    settings: dict[str, Any] = {}
    if not any(os.environ.get(name) for name in ("AWS_REGION", "AWS_DEFAULT_REGION")) and profile.get("region"):
        settings["region"] = profile["region"]
    if os.environ.get("AWS_ACCESS_KEY_ID") or any(os.environ.get(name) for name in _ROLES):
        return settings
    if profile.get(_KEYS[0]) and profile.get(_KEYS[1]):
        return {**settings, **{name: profile[name] for name in _KEYS if profile.get(name)}}
    provider = _from_boto3()
    return {**settings, "credential_provider": provider} if provider else settings


def _profile() -> Mapping[str, str]:
    """The settings of the profile that AWS_PROFILE names, from both files. The credentials file comes first."""
    name = os.environ.get("AWS_PROFILE") or "default"
    home = Path("~/.aws").expanduser()
    files = (
        (os.environ.get("AWS_CONFIG_FILE") or home / "config", name if name == "default" else f"profile {name}"),
        (os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or home / "credentials", name),
    )
    found: dict[str, str] = {}
    for file, section in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read(Path(file).expanduser(), encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError, OSError) as error:
            # The text of the error could quote a line with a secret key.
            raise EpochRemoteError(
                f"{file} cannot be read: {type(error).__name__}", "correct it, or set AWS_ACCESS_KEY_ID"
            ) from None
        if parser.has_section(section):
            found.update(parser.items(section))
    return found


def _from_boto3() -> Any:
    """A provider over boto3's own chain, or None if boto3 is not installed or finds nothing."""
    if not importlib.util.find_spec("boto3"):
        return None
    from obstore.auth.boto3 import Boto3CredentialProvider

    session: Any = importlib.import_module("boto3").Session()
    return Boto3CredentialProvider(session) if session.get_credentials() else None
