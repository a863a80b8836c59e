"""An Airflow of another version in an environment of its own, and what is tried with it."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import requests

from sandbox.stack import free_port, wait_for

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
UV = str(Path(sys.executable).with_name("uv"))


def index() -> dict[str, str]:
    """The environment with which uv asks the index that pip is set to."""
    if "UV_DEFAULT_INDEX" in os.environ:
        return {}
    done = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True,
        text=True,
        check=False,
    )
    return {"UV_DEFAULT_INDEX": done.stdout.strip()} if done.returncode == 0 else {}


def requirements() -> list[str]:
    """What requirements.txt asks for, without what only tests need."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8").partition("# For the tests")[0]
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def unreachable_index() -> str | None:
    """What is wrong with the package index; None: it answers."""
    try:
        uv(
            "pip", "compile", "--quiet", "--no-deps", "--refresh-package", "msgspec", "-",
            stdin="msgspec", UV_HTTP_TIMEOUT="20",
        )  # fmt: skip
    except AssertionError as error:
        return str(error).splitlines()[-1].strip()
    return None


def uv(*arguments: str, stdin: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run uv; says what it said where it failed."""
    done = subprocess.run(
        [UV, *arguments],
        env=os.environ | index() | environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=540,
        check=False,
    )
    assert done.returncode == 0, f"uv {arguments[0]}: {done.stderr[-3000:]}"
    return done


class InstalledAirflow:
    """An environment with an Airflow, and a home in which only it writes.

    :param packages: what is installed.
    :param versions: the file in this directory that pins it; None: the newest that the index has.
    """

    def __init__(self, directory: Path, packages: list[str], versions: str | None = None) -> None:
        self.venv, self.home = directory / "venv", directory / "home"
        self.home.mkdir(parents=True)
        uv("venv", "--quiet", "--python", sys.executable, str(self.venv))
        pinned = ["--constraint", str(HERE / versions)] if versions else []
        uv("pip", "install", "--quiet", *pinned, *packages, VIRTUAL_ENV=str(self.venv))
        self.port = free_port(0)
        url = f"http://127.0.0.1:{self.port}"
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AIRFLOW", "OPSGENIE", "PYTHON", "VIRTUAL_ENV", "COV"))
        }
        self.environment = inherited | {
            "PATH": f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def copy(self, *names: str) -> None:
        """Copy folders of the checkout into the home."""
        for name in names:
            shutil.copytree(ROOT / name, self.home / name, ignore=shutil.ignore_patterns("__pycache__"))

    def run(self, *command: str) -> str:
        """Run a command of the environment in its home; returns what it printed."""
        done = subprocess.run(
            command,
            cwd=self.home,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-6000:]}"
        return done.stdout

    def commands(self, *commands: list[str]) -> str:
        """Run commands of ``airflow``, one after the other; returns what they printed."""
        return self.run("python", str(HERE / "airflow_commands.py"), *map(json.dumps, commands))

    @contextmanager
    def api_server(self) -> Iterator[Page]:
        """The API server, and the page in it."""
        log = self.home / "api-server.log"
        command = ["airflow", "api-server", "--host", "127.0.0.1", "--port", str(self.port), "--workers", "1"]
        with log.open("wb") as output:
            server = subprocess.Popen(
                command, cwd=self.home, env=self.environment, stdout=output, stderr=subprocess.STDOUT
            )
            page = Page(f"http://127.0.0.1:{self.port}")
            try:
                wait_for(lambda: server.poll() is not None or page.is_up(), "the API server", 240)
                assert server.poll() is None, log.read_text()[-4000:]
                yield page
            finally:
                server.terminate()
                try:
                    server.wait(20)
                except subprocess.TimeoutExpired:
                    server.kill()
                    server.wait()


class Page:
    """The page, seen by the users of an Airflow."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        # The server is on this machine; a proxy would not reach it.
        self._session.trust_env = False

    def is_up(self) -> bool:
        try:
            return self._session.get(f"{self._url}/api/v2/monitor/health", timeout=10).ok
        except requests.ConnectionError:
            return False

    def log_in(self, credentials: Mapping[str, str]) -> str:
        """The token of a session."""
        answer = self._session.post(f"{self._url}/auth/token", json=dict(credentials), timeout=60)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["access_token"])

    def get(self, token: str | None = None) -> tuple[int, str]:
        """What the page answers in a session, or without."""
        cookies = {"_token": token} if token else {}
        answer = self._session.get(f"{self._url}/opsgenie_provider/", cookies=cookies, timeout=60)
        return answer.status_code, answer.text
