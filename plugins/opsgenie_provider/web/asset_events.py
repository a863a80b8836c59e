"""Marks assets as updated from within the API server, so that the DAGs that wait for them run."""

from __future__ import annotations

import logging
from typing import Any

from airflow.assets.manager import asset_manager
from airflow.sdk import Asset
from airflow.utils.session import create_session
from sqlalchemy.exc import SQLAlchemyError

from opsgenie_provider.compat import asset_key

log = logging.getLogger(__name__)


def mark_updated(asset: Asset, extra: dict[str, Any]) -> bool:
    """Record an event of the asset, as a task with it among its outlets would.

    Blocks on Airflow's database: call it outside of the event loop.

    :param extra: JSON that goes with the event.
    :returns: False where no DAG with the asset has been read yet, or Airflow's database did not take
        the event. What waits for the asset then follows its next event.
    """
    key = asset_key(asset.name, asset.uri)
    try:
        with create_session(scoped=False) as session:
            return asset_manager.register_asset_change(asset=key, extra=extra, session=session) is not None
    except SQLAlchemyError as error:
        log.warning("The asset %s could not be marked as updated: %s.", asset.name, type(error).__name__)
        return False
