"""A stand-in for the OpsGenie REST API: incidents, timelines, alerts, on-call and the rest."""

from sandbox.opsgenie.app import create_app
from sandbox.opsgenie.seed import load, load_alerts
from sandbox.opsgenie.store import Key, Store

__all__ = ["Key", "Store", "create_app", "load", "load_alerts"]
