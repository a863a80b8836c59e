"""Where include/ is, seen from the API server."""

from __future__ import annotations

from pathlib import Path

from airflow.configuration import conf

from opsgenie_provider.settings import Settings, load_settings


def include_directory() -> Path:
    """The project's include/: next to the DAGs, next to the plugins, or next to this package's sources.

    :raises FileNotFoundError: it is at none of these places.
    """
    places = [
        Path(conf.get_mandatory_value("core", "dags_folder")).parent,
        Path(conf.get_mandatory_value("core", "plugins_folder")).parent,
        Path(__file__).resolve().parents[3],
    ]
    for place in places:
        if (place / "include" / "sql" / "web").is_dir():
            return place / "include"
    raise FileNotFoundError(
        "The project's include/ is missing: put it next to Airflow's dags or plugins folder. Looked in "
        + ", ".join(str(place) for place in places)
    )


def settings() -> Settings:
    """The settings as they are now: an edit needs no restart.

    :raises InvalidSettingsError: naming each wrong key.
    """
    return load_settings(include_directory() / "settings.yaml")
