"""A stand-in for GitHub's REST API, reads only: deployments, their statuses, pull requests of a commit."""

from sandbox.github.app import create_app
from sandbox.github.seed import load
from sandbox.github.store import Store, Token

__all__ = ["Store", "Token", "create_app", "load"]
