"""The deployment's settings: include/settings.yaml, each key overridable by the environment."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    YamlConfigSettingsSource,
)

from opsgenie_provider.resources import SETTINGS_FILE_VARIABLE, settings_file

ENV_PREFIX = "OPSGENIE_PROVIDER__"
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")
# As staging.deployments has it.
_MOST_SERVICE_BYTES = 500


class InvalidSettingsError(ValueError):
    """A setting has a value that it cannot have."""


class Repository(BaseModel):
    """A GitHub repository whose deployments are read, or the part of it that deploys one service.

    :param service: the service that it deploys; the repository's name where not given.
    :param environments: the environments that count; all where not given.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: str = Field(pattern=r"^[^/\s]+/[^/\s]+$")
    service: str | None = None
    environments: list[str] | None = None

    @field_validator("service")
    @classmethod
    def _fits(cls, service: str | None) -> str | None:
        """It is part of indexes, whose entries are limited."""
        if service is not None and len(service.encode()) > _MOST_SERVICE_BYTES:
            raise ValueError(f"a service's name has at most {_MOST_SERVICE_BYTES} bytes")
        return service

    @property
    def service_name(self) -> str:
        """The service of its deployments."""
        return self.service or self.repository.split("/")[1]

    def is_named(self, full_name: str) -> bool:
        """Whether it is the repository of that name, case aside, as for GitHub."""
        return self.repository.lower() == full_name.lower()

    def counts(self, environment: str) -> bool:
        """Whether it is about the deployments to that environment, case aside."""
        return not self.environments or environment.lower() in map(str.lower, self.environments)

    def overlaps(self, other: Repository) -> bool:
        """Whether some environment counts for both entries."""
        return not (self.environments and other.environments) or any(map(self.counts, other.environments))


class NotifierSetting(BaseModel):
    """A notifier of Airflow's, or one of your own, that the report's summary is handed to.

    :param class_: its import path; ``class`` in the file.
    :param kwargs: its arguments.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    class_: str = Field(alias="class", pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")
    kwargs: dict[str, Any] = {}

    def load(self) -> Any:
        """The class.

        :raises ImportError: there is no such module.
        :raises AttributeError: the module has no such class.
        """
        module, _, name = self.class_.rpartition(".")
        return getattr(import_module(module), name)


class Settings(BaseSettings):
    """Every setting with its default; include/settings.yaml says what each is for."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True)

    accounts: list[str] = Field(["opsgenie_default"], min_length=1)
    alert_accounts: list[str] = []
    alert_priorities: list[Literal["P1", "P2", "P3", "P4", "P5"]] = Field(["P1", "P2"], min_length=1)
    alert_service_from: list[str] = ["details.service", "tag:service:", "entity"]
    import_conn_id: str = "opsgenie_import"
    pagerduty_conn_id: str = "pagerduty_default"
    postgres_conn_id: str = "postgres_default"
    github_conn_id: str = "github_default"
    github_repositories: list[Repository] = []
    deployments_relation: str | None = None
    deployments_columns: dict[str, str] = {}
    webhook_conn_id: str = "deployments_webhook"
    environments: list[str] = Field(["production", "prod"], min_length=1)
    window_before_hours: float = Field(4, ge=0, le=24 * 14)
    window_after_hours: float = Field(4, ge=0, le=24 * 14)
    direction: Literal["both", "before_only"] = "both"
    tiers: Literal[2021, 2023] = 2023
    max_requests_per_minute: int | None = Field(None, ge=1)
    report_path: str | None = Field(None, min_length=1)
    notifiers: list[NotifierSetting] = []

    @field_validator("accounts")
    @classmethod
    def _distinct(cls, accounts: list[str]) -> list[str]:
        if len(set(accounts)) != len(accounts):
            raise ValueError("the same account is named twice")
        return accounts

    @field_validator("alert_accounts")
    @classmethod
    def _known(cls, alert_accounts: list[str], info: ValidationInfo) -> list[str]:
        """A name that is spelled wrong would leave the account reading incidents."""
        unknown = [name for name in alert_accounts if name not in info.data.get("accounts", alert_accounts)]
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is not one of the accounts")
        return alert_accounts

    @field_validator("alert_service_from")
    @classmethod
    def _sources(cls, sources: list[str]) -> list[str]:
        for source in sources:
            if "\0" in source or not re.fullmatch(r"details\..+|tag:.*|entity", source, re.DOTALL):
                raise ValueError(f"{source!r} is none of details.KEY, tag:PREFIX and entity")
        return sources

    @field_validator("*")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        """PostgreSQL has no texts with a NUL or half a surrogate pair, and cannot even be asked for one."""
        for text in _texts(value):
            if _NOT_STORABLE.search(text):
                raise ValueError(f"{text!r} has a character that PostgreSQL cannot store")
        return value

    @field_validator("tiers", mode="before")
    @classmethod
    def _number(cls, tiers: Any) -> Any:
        """The environment has texts only."""
        return int(tiers) if isinstance(tiers, str) and tiers.isdecimal() else tiers

    @field_validator("github_repositories", mode="before")
    @classmethod
    def _named(cls, repositories: Any) -> Any:
        """A bare "owner/name" is short for {repository: "owner/name"}."""
        if not isinstance(repositories, list):
            return repositories
        return [{"repository": each} if isinstance(each, str) else each for each in repositories]

    @field_validator("github_repositories")
    @classmethod
    def _no_deployment_twice(cls, repositories: list[Repository]) -> list[Repository]:
        """Else a deployment would have the service of the entry that was read last."""
        for place, later in enumerate(repositories):
            for earlier in repositories[:place]:
                if not earlier.is_named(later.repository):
                    continue
                if not (earlier.environments and later.environments):
                    raise ValueError(
                        f"{later.repository} has two entries, and one of them names no environments, so that "
                        "it holds those of the other, too: name the environments of each"
                    )
                shared = [name for name in later.environments if earlier.counts(name)]
                if shared:
                    raise ValueError(
                        f"two entries of {later.repository} name the environment {shared[0]!r}: a deployment "
                        "has one service, so leave it out of one of them"
                    )
        return repositories

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return env_settings, YamlConfigSettingsSource(settings_cls)


def _texts(value: Any) -> Iterator[str]:
    """Every text in a setting's value, names of keys among them."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, BaseModel):
        yield from _texts(value.model_dump())
    elif isinstance(value, dict | list):
        for part in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from _texts(part)


def load_settings(path: Path | None = None) -> Settings:
    """Read the settings of a YAML file, overridden by ``OPSGENIE_PROVIDER__<KEY>``.

    What has not changed since is not read again: that takes 10 ms, and the page and the webhook ask for the
    settings with every request, in the process of Airflow's API server.

    :param path: by default ``resources.settings_file()``.
    :raises InvalidSettingsError: naming each wrong key, what it may be, and where to set it.
    :raises IncompleteInstallationError: there is no settings file.
    """
    path = path or settings_file()
    overrides = tuple(
        sorted((name, value) for name, value in os.environ.items() if name.upper().startswith(ENV_PREFIX))
    )
    known = {f"{ENV_PREFIX}{name}".upper() for name in Settings.model_fields} | {SETTINGS_FILE_VARIABLE}
    unknown = [name for name, _ in overrides if name.upper() not in known]
    if unknown:
        raise InvalidSettingsError(
            f"No setting is called {', '.join(unknown)}. Correct the name of the environment variable; "
            "docs/settings.md lists them."
        )
    return _read(path, _version(path), overrides)


def _version(path: Path) -> tuple[int, ...]:
    """What changes when a file is edited or replaced; empty where there is none."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@lru_cache(maxsize=4)
def _read(path: Path, version: tuple[int, ...], overrides: tuple[tuple[str, str], ...]) -> Settings:
    """The settings of a version of a file and of the environment, which are the keys of the cache only."""

    class FromFile(Settings):
        model_config = SettingsConfigDict(yaml_file=path)

    try:
        # Every field has a default and a source.
        return FromFile()  # type: ignore[call-arg]
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']} (got {each['input']!r:.80})"
            for each in error.errors()
        )
    except SettingsError as error:
        problems = f"{error} (lists and maps are written as JSON)"
    except (yaml.YAMLError, TypeError, ValueError) as error:
        problems = f"{path.name} is not a YAML map of keys to values: {' '.join(str(error).split())}"
    raise InvalidSettingsError(
        f"Wrong settings: {problems}. Correct {path.name} or the environment variable {ENV_PREFIX}<KEY>."
    )
