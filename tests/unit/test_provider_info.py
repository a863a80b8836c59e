from __future__ import annotations

import importlib
import json
from importlib.metadata import distribution, entry_points
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.sdk.providers_manager_runtime import ProvidersManagerTaskRuntime

from opsgenie_provider import get_provider_info

AIRFLOW = Path(airflow.__path__[0])


def test_airflow_accepts_what_the_provider_says_of_itself() -> None:
    schema = json.loads((AIRFLOW / "provider_info.schema.json").read_text())
    jsonschema.validate(get_provider_info(), schema)


def test_airflow_finds_the_provider_by_its_entry_point() -> None:
    [entry] = [
        each for each in entry_points(group="apache_airflow_provider") if each.module == "opsgenie_provider"
    ]
    assert entry.load() is get_provider_info
    # Airflow refuses a provider whose name is not its distribution's.
    assert entry.dist is not None
    assert get_provider_info()["package-name"] == entry.dist.name
    assert get_provider_info()["versions"] == [distribution(entry.dist.name).version]


def test_the_connection_types_are_those_of_the_contract() -> None:
    types = {each["connection-type"] for each in get_provider_info()["connection-types"]}
    assert types == {"opsgenie_api", "pagerduty_api", "jsm_api"}


@pytest.mark.parametrize(
    "described", get_provider_info()["connection-types"], ids=lambda each: each["connection-type"]
)
def test_each_connection_type_matches_its_hook(described: dict[str, Any]) -> None:
    module, _, name = described["hook-class-name"].rpartition(".")
    hook = getattr(importlib.import_module(module), name)
    assert hook.conn_type == described["connection-type"]
    assert hook.hook_name == described["hook-name"]
    assert described["ui-field-behaviour"]["relabeling"]["password"] == hook.credential
    # The base URL and the key must be there to be filled in.
    assert not {"host", "password"} & set(described["ui-field-behaviour"]["hidden-fields"])
    # Airflow makes hooks of the Test button by this name.
    assert hook(**{hook.conn_name_attr: "x"}).http_conn_id == "x"


@pytest.mark.parametrize(
    "described",
    [each for each in get_provider_info()["connection-types"] if each["connection-type"] != "jsm_api"],
    ids=lambda each: each["connection-type"],
)
def test_a_region_is_one_of_its_hooks(described: dict[str, Any]) -> None:
    module, _, name = described["hook-class-name"].rpartition(".")
    hook = getattr(importlib.import_module(module), name)
    assert described["conn-fields"]["region"]["schema"]["enum"] == list(hook.hosts)
    for region, url in hook.hosts.items():
        shown = described["ui-field-behaviour"]["placeholders"]["host"]
        assert url.removeprefix("https://") in shown, region


def test_a_site_of_jsm_has_the_extras_of_the_contract() -> None:
    [described] = [e for e in get_provider_info()["connection-types"] if e["connection-type"] == "jsm_api"]
    assert set(described["conn-fields"]) == {
        "cloud_id",
        "api_url",
        "incident_jql",
        "impact_start_field",
        "impact_end_field",
        "priority_map",
        "closed_statuses",
    }
    assert all(field["label"] and field["description"] for field in described["conn-fields"].values())
    # The e-mail is the login.
    assert "login" not in described["ui-field-behaviour"]["hidden-fields"]


def test_airflow_lists_the_hooks() -> None:
    manager = ProvidersManagerTaskRuntime()
    for conn_type in ("opsgenie_api", "pagerduty_api", "jsm_api"):
        hook = manager.hooks[conn_type]
        assert hook is not None
        assert hook.package_name == get_provider_info()["package-name"]
        assert hook.connection_type == conn_type
