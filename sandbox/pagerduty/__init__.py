"""A stand-in for the PagerDuty REST API v2, reads only: incidents, log entries, notes, alerts."""

from sandbox.pagerduty.app import create_app
from sandbox.pagerduty.seed import load
from sandbox.pagerduty.store import Key, Store

__all__ = ["Key", "Store", "create_app", "load"]
