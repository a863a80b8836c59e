"""Where the package's SQL and the settings file are: one rule for every way of installing it.

An installed wheel carries ``include/`` inside the package. In a checkout, a git-sync folder or copied
folders, ``include/`` is next to ``plugins/``.
"""

from __future__ import annotations

import os
from pathlib import Path

SETTINGS_FILE_VARIABLE = "OPSGENIE_PROVIDER__SETTINGS_FILE"

_PACKAGE = Path(__file__).resolve().parent


class IncompleteInstallationError(Exception):
    """Files of this package are missing where it is installed."""


def sql_directory(name: str) -> Path:
    """A directory of ``include/sql``: "schema", "transform", "scope", "checks" or "queries".

    :raises IncompleteInstallationError: it is not there; the message says where it belongs.
    """
    directory = _include() / "sql" / name
    if not any(directory.glob("*.sql")):
        raise IncompleteInstallationError(
            f"{directory} has no SQL files. Copy the folder include/ next to plugins/, as in the repository, "
            "or install the package with pip, which brings its own copy."
        )
    return directory


def settings_file() -> Path:
    """The file that ``OPSGENIE_PROVIDER__SETTINGS_FILE`` names, else ``include/settings.yaml``.

    :raises IncompleteInstallationError: there is no such file.
    """
    named = os.environ.get(SETTINGS_FILE_VARIABLE)
    file = Path(named) if named else _include() / "settings.yaml"
    if not file.is_file():
        remedy = (
            f"Correct the environment variable {SETTINGS_FILE_VARIABLE}."
            if named
            else f"Copy the folder include/ next to plugins/, or name a file in {SETTINGS_FILE_VARIABLE}."
        )
        raise IncompleteInstallationError(f"There is no settings file {file}. {remedy}")
    return file


def _include() -> Path:
    packaged = _PACKAGE / "include"
    return packaged if packaged.is_dir() else _PACKAGE.parents[1] / "include"
