"""The files that ship the project agree with each other and with the code."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from opsgenie_provider import get_provider_info
from opsgenie_provider.settings import ENV_PREFIX, Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]
PYTHONS = ("3.11", "3.12", "3.13")
AIRFLOW_PARTS = {
    "airflow-apiserver": ["airflow", "api-server"],
    "airflow-scheduler": ["airflow", "scheduler"],
    "airflow-dag-processor": ["airflow", "dag-processor"],
    "airflow-worker": ["airflow", "celery", "worker"],
    "airflow-triggerer": ["airflow", "triggerer"],
    "airflow-init": ["airflow", "db", "migrate"],
}
# One pin: the requirement, its marker, and the hashes on the lines after it.
PIN = re.compile(
    r"^(?P<pin>[A-Za-z0-9][^\n\\]*?)\s*\\\n(?P<hashes>(?:\s+--hash=\S+(?:\s*\\)?\n)+)", re.MULTILINE
)


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def pins(lock: str) -> list[Requirement]:
    """The pins of a lock, each of which has a hash; anything else that is no comment fails."""
    found = list(PIN.finditer(lock))
    rest = [line for line in PIN.sub("", lock).splitlines() if line.strip() and "#" not in line.split()[0]]
    assert rest == []
    return [Requirement(each["pin"]) for each in found]


def environment(python: str) -> dict[str, str]:
    return {
        "python_version": python,
        "python_full_version": f"{python}.9",
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
    }


def locked(name: str, python: str) -> dict[str, str]:
    """Name -> version of what a lock installs for a Python; each name is there once."""
    versions: dict[str, str] = {}
    for pin in pins(read(name)):
        if pin.marker is not None and not pin.marker.evaluate(environment(python)):
            continue
        (specifier,) = pin.specifier
        assert specifier.operator == "=="
        assert canonicalize_name(pin.name) not in versions
        versions[canonicalize_name(pin.name)] = specifier.version
    return versions


def project() -> dict[str, Any]:
    return tomllib.loads(read("pyproject.toml"))


def unmet(requirements: list[str], versions: dict[str, str]) -> list[str]:
    """Those of the requirements that the versions do not satisfy."""
    wanted = [Requirement(each) for each in requirements]
    return [
        str(each)
        for each in wanted
        if not each.specifier.contains(versions.get(canonicalize_name(each.name), "0a0"), prereleases=True)
        or canonicalize_name(each.name) not in versions
    ]


@pytest.mark.parametrize("python", PYTHONS)
def test_the_lock_has_every_requirement(python: str) -> None:
    declared = project()
    runtime = [*declared["project"]["dependencies"], *declared["dependency-groups"]["airflow"]]
    assert unmet(runtime, locked("requirements-lock.txt", python)) == []
    tools = [each for each in declared["dependency-groups"]["dev"] if isinstance(each, str)]
    assert unmet([*runtime, *tools], locked("requirements-dev.txt", python)) == []
    assert unmet(declared["dependency-groups"]["build"], locked("requirements-build.txt", python)) == []


@pytest.mark.parametrize("python", PYTHONS)
def test_the_locks_agree(python: str) -> None:
    """What is developed with is what is deployed."""
    runtime, development = locked("requirements-lock.txt", python), locked("requirements-dev.txt", python)
    assert {name: development.get(name) for name in runtime} == runtime


def test_requirements_are_what_the_package_declares() -> None:
    named = [line for line in read("requirements.txt").splitlines() if line and not line.startswith("#")]
    assert named[:-2] == project()["project"]["dependencies"]
    assert [Requirement(each).name for each in named[-2:]] == ["pytest", "requests-mock"]


def test_the_image_has_the_locked_airflow() -> None:
    (base,) = re.findall(r"^ARG AIRFLOW_VERSION=(\S+)", read("Dockerfile"), re.MULTILINE)
    assert base == locked("requirements-lock.txt", "3.12")["apache-airflow"]


def test_the_image_is_built_from_what_its_context_has() -> None:
    ignored = read(".dockerignore").splitlines()
    sources: set[str] = set()
    for line in re.findall(r"^COPY (?!--from)(?:--chown=\S+ )?(.+) \S+$", read("Dockerfile"), re.MULTILINE):
        sources |= set(line.split())
    sources.discard("include/settings.yaml")
    assert {f"!{source}" for source in sources} == {line for line in ignored if line.startswith("!")}
    assert [name for name in sources if not (ROOT / name).exists()] == []


def test_nothing_of_ours_runs_as_root() -> None:
    assert re.findall(r"^USER (.+)$", read("Dockerfile"), re.MULTILINE)[-1] == "airflow"
    services = yaml.safe_load(read("docker-compose.yaml"))["services"]
    assert [name for name in AIRFLOW_PARTS if {"user", "privileged"} & set(services[name])] == []


def test_the_compose_file_has_the_parts_of_airflow() -> None:
    services = yaml.safe_load(read("docker-compose.yaml"))["services"]
    assert set(services) == {"postgres", "warehouse", "redis", *AIRFLOW_PARTS}
    for name, command in AIRFLOW_PARTS.items():
        assert services[name]["command"] == command or " ".join(command) in services[name]["command"][-1]
        assert services[name]["build"] == "."
    unchecked = [name for name, service in services.items() if "healthcheck" not in service]
    assert unchecked == ["airflow-init"]
    assert services["airflow-worker"]["environment"]["AIRFLOW__CORE__EXECUTOR"] == "CeleryExecutor"


def test_the_compose_file_has_no_secret() -> None:
    """Each comes from a variable that must be set; a variable named once more need not say so again."""
    text = "\n".join(
        line for line in read("docker-compose.yaml").splitlines() if not line.lstrip().startswith("#")
    )
    required = set(re.findall(r"\$\{(\w+):\?[^}]+\}", text))
    assert required == {
        "AIRFLOW_ADMIN_PASSWORD",
        "AIRFLOW_API_SECRET_KEY",
        "AIRFLOW_CONN_OPSGENIE_DEFAULT",
        "AIRFLOW_DB_PASSWORD",
        "AIRFLOW_FERNET_KEY",
        "AIRFLOW_JWT_SECRET",
        "REDIS_PASSWORD",
        "WAREHOUSE_PASSWORD",
    }
    assert set(re.findall(r"\$\{(\w+)\}", text)) <= required | {"HOSTNAME"}
    given = re.findall(r"^ +(\w*(?:PASSWORD|SECRET|KEY|AUTH|CONN_\w+)):(.*)$", text, re.MULTILINE)
    assert [name for name, value in given if value.strip() and not value.strip().startswith("${")] == []
    assert re.findall(r"://[^:/\s]*:(?!\$\{)[^@\s/]+@", text) == []


def test_the_compose_file_passes_every_setting_on() -> None:
    shared = yaml.safe_load(read("docker-compose.yaml"))["x-airflow"]["environment"]
    passed = {name: value for name, value in shared.items() if name.startswith(ENV_PREFIX)}
    assert passed == {f"{ENV_PREFIX}{name.upper()}": None for name in Settings.model_fields}


def test_the_settings_file_documents_every_setting() -> None:
    named = [name for line in read("include/settings.yaml").splitlines() for name in keys(line)]
    assert named == list(Settings.model_fields)


def keys(line: str) -> list[str]:
    """The setting of a line, also where it is shown as a comment."""
    try:
        value = yaml.safe_load(line.removeprefix("# "))
    except yaml.YAMLError:
        return []
    found = map(str, value) if isinstance(value, dict) else ()
    return [key for key in found if re.fullmatch("[a-z_]+", key)]


def test_the_settings_file_holds_the_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"{ENV_PREFIX}{name.upper()}", raising=False)
    empty = tmp_path / "settings.yaml"
    empty.write_text("{}")
    assert load_settings(ROOT / "include/settings.yaml").model_dump() == load_settings(empty).model_dump()


def test_the_documentation_has_every_setting() -> None:
    rows = re.findall(r"^\| `([a-z_]+)` \|.*\| `(\w+)` \|$", read("docs/settings.md"), re.MULTILINE)
    assert rows == [(name, f"{ENV_PREFIX}{name.upper()}") for name in Settings.model_fields]


def test_the_versions_agree() -> None:
    declared = project()["project"]
    info = get_provider_info()
    assert (info["package-name"], info["versions"][0]) == (declared["name"], declared["version"])


def test_the_registry_names_what_there_is() -> None:
    registry, info = yaml.safe_load(read(".airflow-registry.yaml")), get_provider_info()
    types = {each["connection-type"]: each["hook-class-name"] for each in info["connection-types"]}
    assert set(registry["connection-types"]) == set(types)
    assert set(types.values()) <= set(registry["hooks"])
    assert set(registry["dags"]) == {file.stem for file in (ROOT / "dags").glob("*.py")}


def test_links_between_documents_lead_somewhere() -> None:
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
    targets = [
        (document, target)
        for document in documents
        for target in re.findall(r"\]\(((?!https?://|#)[^)#\s]+)", document.read_text(encoding="utf-8"))
    ]
    assert [str(target) for document, target in targets if not (document.parent / target).exists()] == []
