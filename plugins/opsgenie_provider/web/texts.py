"""Texts of a request, as the warehouse can hold them: PostgreSQL's texts have no NUL."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field


def _without_nul(value: Any) -> Any:
    return value.replace("\0", "") if isinstance(value, str) else value


def _named(value: Any) -> Any:
    """A name without outer blanks; None where nothing is left."""
    return (_without_nul(value).strip() or None) if isinstance(value, str) else value


# A field of a form.
Text = Annotated[str, BeforeValidator(_without_nul), Field(max_length=1000)]
# The service that a page is asked for; None: all of them.
ServiceName = Annotated[Annotated[str, Field(max_length=500)] | None, BeforeValidator(_named)]
