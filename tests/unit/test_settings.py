from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from opsgenie_provider.settings import ENV_PREFIX, InvalidSettingsError, Repository, Settings, load_settings

SHIPPED = Path(__file__).resolve().parents[2] / "include" / "settings.yaml"
# As the contract names them.
DEFAULTS = {
    "accounts": ["opsgenie_default"],
    "alert_accounts": [],
    "alert_priorities": ["P1", "P2"],
    "alert_service_from": ["details.service", "tag:service:", "entity"],
    "import_conn_id": "opsgenie_import",
    "pagerduty_conn_id": "pagerduty_default",
    "postgres_conn_id": "postgres_default",
    "github_conn_id": "github_default",
    "github_repositories": [],
    "deployments_relation": None,
    "deployments_columns": {},
    "webhook_conn_id": "deployments_webhook",
    "environments": ["production", "prod"],
    "window_before_hours": 4,
    "window_after_hours": 4,
    "direction": "both",
    "tiers": 2023,
    "max_requests_per_minute": None,
    "report_path": None,
    "notifiers": [],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "settings.yaml"


def load(file: Path, text: str) -> Settings:
    file.write_text(text)
    return load_settings(file)


@pytest.mark.parametrize("text", ["", "# nothing", "{}"])
def test_defaults_are_those_of_the_contract(file: Path, text: str) -> None:
    assert load(file, text).model_dump() == DEFAULTS


def test_the_file_that_is_shipped_says_the_defaults_and_names_every_key() -> None:
    assert load_settings(SHIPPED).model_dump() == DEFAULTS
    named = set(re.findall(r"^(?:# )?([a-z_]+):", SHIPPED.read_text(), re.MULTILINE))
    assert named >= DEFAULTS.keys()


def test_the_file_is_read(file: Path) -> None:
    settings = load(
        file,
        "accounts: [us, eu]\nwindow_before_hours: 0.5\ntiers: 2021\n"
        "github_repositories:\n- acme/shop\n"
        "- {repository: acme/ledger, service: ledger, environments: [live]}\n",
    )
    assert settings.accounts == ["us", "eu"]
    assert settings.window_before_hours == 0.5
    assert settings.tiers == 2021
    assert settings.github_repositories == [
        Repository(repository="acme/shop"),
        Repository(repository="acme/ledger", service="ledger", environments=["live"]),
    ]


def test_the_file_is_read_again_only_where_it_or_the_environment_changed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page and the webhook ask with every request."""
    first = load(file, "tiers: 2021")
    assert load_settings(file) is first
    assert load(file, "tiers: 2023").tiers == 2023
    # Of the same size, within the clock's resolution perhaps: a file that took the place of the other.
    other = file.with_name("other.yaml")
    other.write_text("tiers: 2021")
    other.replace(file)
    assert load_settings(file).tiers == 2021
    monkeypatch.setenv("OPSGENIE_PROVIDER__TIERS", "2023")
    assert load_settings(file).tiers == 2023
    monkeypatch.delenv("OPSGENIE_PROVIDER__TIERS")
    assert load_settings(file).tiers == 2021


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("accounts", '["us", "eu"]', ["us", "eu"]),
        ("alert_accounts", '["other"]', ["other"]),
        ("alert_priorities", '["P3"]', ["P3"]),
        ("alert_service_from", '["tag:"]', ["tag:"]),
        ("import_conn_id", "writer", "writer"),
        ("github_repositories", '["a/b"]', [{"repository": "a/b", "service": None, "environments": None}]),
        ("deployments_relation", "analytics.deploys", "analytics.deploys"),
        ("deployments_columns", '{"service": "app"}', {"service": "app"}),
        ("environments", '["live"]', ["live"]),
        ("window_before_hours", "0", 0),
        ("window_after_hours", "12.5", 12.5),
        ("direction", "before_only", "before_only"),
        ("tiers", "2021", 2021),
        ("max_requests_per_minute", "60", 60),
    ],
)
def test_the_environment_overrides_every_kind_of_key(
    file: Path, monkeypatch: pytest.MonkeyPatch, key: str, value: str, expected: Any
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}{key.upper()}", value)
    settings = load(file, "accounts: [other]\ntiers: 2023\nwindow_before_hours: 1\n").model_dump()
    assert settings[key] == expected


@pytest.mark.parametrize(
    ("text", "key", "got"),
    [
        ("acounts: [a]", "acounts", "not permitted"),
        ("accounts: opsgenie_default", "accounts", "valid list"),
        ("accounts: []", "accounts", "at least 1 item"),
        ("accounts: [a, b, a]", "accounts", "named twice"),
        ("alert_accounts: [opsgenie_defautl]", "alert_accounts", "opsgenie_defautl is not one of"),
        ("alert_priorities: []", "alert_priorities", "at least 1 item"),
        ("alert_priorities: [p1]", "alert_priorities.0", "'p1'"),
        ("alert_service_from: [details]", "alert_service_from", "'details' is none of"),
        ('alert_service_from: ["tag:\\0"]', "alert_service_from", "is none of"),
        ("postgres_conn_id: [a]", "postgres_conn_id", "valid string"),
        ("github_repositories: [shop]", "github_repositories.0.repository", "'shop'"),
        (
            "github_repositories: [{repository: a/b, servce: x}]",
            "github_repositories.0.servce",
            "not permitted",
        ),
        (
            f"github_repositories: [{{repository: a/b, service: {'ü' * 251}}}]",
            "github_repositories.0.service",
            "at most 500 bytes",
        ),
        ("github_repositories: a/b", "github_repositories", "valid list"),
        ("github_repositories: [a/b, {repository: A/B, service: x}]", "github_repositories", "two entries"),
        (
            "github_repositories: [a/b, {repository: a/b, environments: [x]}]",
            "github_repositories",
            "names no environments",
        ),
        (
            "github_repositories:\n- {repository: a/b, environments: [x, y]}\n"
            "- {repository: a/b, environments: [Y]}",
            "github_repositories",
            "name the environment 'Y'",
        ),
        ('deployments_relation: "raw.de\\0ploys"', "deployments_relation", "PostgreSQL cannot store"),
        ('environments: ["prod\\0"]', "environments", "PostgreSQL cannot store"),
        (
            'github_repositories: [{repository: a/b, environments: ["\\ud800"]}]',
            "github_repositories",
            "PostgreSQL cannot store",
        ),
        ('deployments_columns: {service: "ap\\0p"}', "deployments_columns", "PostgreSQL cannot store"),
        ("environments: []", "environments", "at least 1 item"),
        ("window_before_hours: -1", "window_before_hours", "greater than or equal to 0"),
        ("window_after_hours: 1000", "window_after_hours", "less than or equal to 336"),
        ("window_after_hours: .nan", "window_after_hours", "nan"),
        ("window_after_hours: four", "window_after_hours", "'four'"),
        ("direction: sideways", "direction", "'both' or 'before_only'"),
        ("tiers: 2022", "tiers", "2021 or 2023"),
        ("max_requests_per_minute: 0", "max_requests_per_minute", "greater than or equal to 1"),
        ("accounts: [a", "settings.yaml", "not a YAML map"),
        ("accounts:\n\t- a", "settings.yaml", "not a YAML map"),
        ("- accounts\n- tiers", "settings.yaml", "not a YAML map"),
        ("accounts", "settings.yaml", "not a YAML map"),
    ],
)
def test_a_wrong_value_is_one_line_with_key_and_remedy(file: Path, text: str, key: str, got: str) -> None:
    with pytest.raises(InvalidSettingsError) as caught:
        load(file, text)
    message = str(caught.value)
    assert re.match(rf"Wrong settings: {re.escape(key)}\b", message)
    assert got in message
    assert message.endswith("Correct settings.yaml or the environment variable OPSGENIE_PROVIDER__<KEY>.")
    assert "\n" not in message


def test_all_wrong_values_are_named_at_once(file: Path) -> None:
    with pytest.raises(InvalidSettingsError, match=r"direction: .*; tiers: "):
        load(file, "direction: up\ntiers: 1999")


def test_a_list_in_the_environment_that_is_not_json_is_said(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{ENV_PREFIX}ACCOUNTS", "us,eu")
    with pytest.raises(InvalidSettingsError, match=r'"accounts".*written as JSON'):
        load(file, "")


def test_settings_do_not_change(file: Path) -> None:
    with pytest.raises(ValueError, match="frozen"):
        load(file, "").tiers = 2021
