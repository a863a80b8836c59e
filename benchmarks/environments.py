"""Environments of the tools that ours is compared with: in .run/bench, from benchmarks/requirements-*.txt."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOME = ROOT / ".run" / "bench"


class NoEnvironmentError(Exception):
    """The tool cannot be installed here, for example because there is no package index."""


def python_of(tool: str) -> Path:
    """The Python of a tool's environment, which is created at the first use and whenever its pins change.

    :raises NoEnvironmentError: it could not be created.
    """
    requirements = Path(__file__).with_name(f"requirements-{tool}.txt")
    home = HOME / tool
    python, installed = home / "bin" / "python", home / "installed.txt"
    if not (installed.exists() and installed.read_bytes() == requirements.read_bytes()):
        shutil.rmtree(home, ignore_errors=True)
        _uv("venv", "--quiet", "--python", sys.executable, str(home))
        # The pins are complete, so dependencies are not resolved again.
        _uv("pip", "install", "--quiet", "--no-deps", "--python", str(python), "-r", str(requirements))
        # As pip would: a tool that compiles what it imports at each start would only seem slow.
        subprocess.run([str(python), "-m", "compileall", "-qq", str(home / "lib")], check=False)
        shutil.copy(requirements, installed)
    return python


def _uv(*arguments: str) -> None:
    bin_directory = Path(sys.executable).parent
    env = dict(os.environ)
    if "UV_DEFAULT_INDEX" not in env:
        # uv gets pip's index settings, as in the Makefile.
        pip = [str(bin_directory / "pip"), "config", "get", "global.index-url"]
        if index := subprocess.run(pip, capture_output=True, text=True).stdout.strip():
            env["UV_DEFAULT_INDEX"] = index
    done = subprocess.run([str(bin_directory / "uv"), *arguments], env=env, capture_output=True, text=True)
    if done.returncode:
        raise NoEnvironmentError(" ".join(done.stderr.split())[-300:])
