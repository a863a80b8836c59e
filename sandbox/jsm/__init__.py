"""A stand-in for Jira Service Management: Jira's issues and users, Operations, services."""

from sandbox.jsm.app import create_app
from sandbox.jsm.seed import load
from sandbox.jsm.store import Store, Token

__all__ = ["Store", "Token", "create_app", "load"]
