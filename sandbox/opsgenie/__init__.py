"""A stand-in for the OpsGenie REST API: incidents, timelines, services, teams, on-call, escalations."""

from sandbox.opsgenie.app import create_app
from sandbox.opsgenie.seed import load
from sandbox.opsgenie.store import Key, Store

__all__ = ["Key", "Store", "create_app", "load"]
