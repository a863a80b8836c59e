"""requirements.txt beside what an Airflow already has: there is a solution, found without installing it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import requests

from tests.compat.compat_airflow import requirements, uv

PROVIDERS = ("amazon", "celery", "cncf-kubernetes", "fab", "google", "slack", "snowflake")
PUBLISHED = "https://raw.githubusercontent.com/apache/airflow/constraints-{}/constraints-3.12.txt"
# A directory with airflow-<version>.txt, for a machine that does not reach the address above.
CONSTRAINTS_VARIABLE = "PUBLISHED_CONSTRAINTS"


pytestmark = pytest.mark.usefixtures("package_index")


def resolve(*more: str) -> str:
    wanted = "\n".join([*requirements(), *more])
    return uv(
        "pip", "compile", "--quiet", "--no-header", "--python-version", "3.12", "-", stdin=wanted
    ).stdout


def test_it_resolves_beside_the_providers_that_platforms_bring() -> None:
    names = [f"apache-airflow-providers-{name}" for name in PROVIDERS]
    found = resolve("apache-airflow==3.2.1", *names)
    assert [name for name in names if f"\n{name}==" not in found] == []


@pytest.mark.parametrize("airflow", ["3.1.8", "3.2.1", "3.3.1"])
def test_it_resolves_under_the_constraints_that_airflow_publishes(airflow: str, tmp_path: Path) -> None:
    file = tmp_path / "constraints.txt"
    if directory := os.environ.get(CONSTRAINTS_VARIABLE):
        file.write_text((Path(directory) / f"airflow-{airflow}.txt").read_text())
    else:
        try:
            answer = requests.get(PUBLISHED.format(airflow), timeout=20)
            answer.raise_for_status()
        except requests.RequestException as error:
            pytest.skip(f"needs Airflow's constraints, by {CONSTRAINTS_VARIABLE} or {type(error).__name__}")
        file.write_text(answer.text)
    wanted = "\n".join([f"apache-airflow=={airflow}", *requirements()])
    uv(
        "pip", "compile", "--quiet", "--python-version", "3.12", "--constraint", str(file), "-",
        stdin=wanted,
    )  # fmt: skip
