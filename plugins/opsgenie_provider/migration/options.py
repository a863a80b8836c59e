"""The choices of a migration's run: the params of its DAG, described once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from opsgenie_provider.planning import parse_instant


def _param(default: Any, kind: str | list[str], description: str, **schema: Any) -> Any:
    return field(default=default, metadata={"type": kind, "description": description, **schema})


@dataclass(frozen=True)
class Options:
    """What the person who triggers the migration may choose."""

    since: str | None = _param(None, ["null", "string"], "Only what was created from here on")
    until: str | None = _param(None, ["null", "string"], "Only what was created before this")
    dry_run: bool = _param(True, "boolean", "Stop after the plan: write nothing to OpsGenie")
    require_approval: bool = _param(True, "boolean", "Wait for a person to approve the plan")
    import_notes: bool = _param(True, "boolean", "Import notes, too")
    include_open: bool = _param(False, "boolean", "Import incidents that are not resolved")
    limit: int | None = _param(None, ["null", "integer"], "At most this many new incidents", minimum=1)
    undo: bool = _param(False, "boolean", "Delete from OpsGenie what was imported")

    @classmethod
    def schemas(cls) -> dict[str, dict[str, Any]]:
        """The arguments of an Airflow ``Param`` for each option."""
        return {option.name: {"default": option.default, **option.metadata} for option in fields(cls)}

    @classmethod
    def from_params(cls, params: Mapping[str, Any]) -> Options:
        """The params of a DAG run, checked; its times in UTC.

        :raises ValueError: since or until is not a time, or they are the wrong way round.
        """
        since, until = (parse_instant(params.get(name), name) for name in ("since", "until"))
        if since and until and since >= until:
            raise ValueError(
                f"since ({since.isoformat()}) is not before until ({until.isoformat()}). Swap them."
            )
        given = {option.name: params[option.name] for option in fields(cls) if option.name in params}
        given["since"] = since.isoformat() if since else None
        given["until"] = until.isoformat() if until else None
        return cls(**given)

    def as_json(self) -> dict[str, Any]:
        """Plain JSON, for XCom; ``Options(**json)`` reads it back."""
        return asdict(self)
