"""The templates of the pages, and what all of them may use."""

from __future__ import annotations

from pathlib import Path

from fastapi.templating import Jinja2Templates

from opsgenie_provider import __version__, display

# How many services a table shows.
SERVICES = 200

templates = Jinja2Templates(Path(__file__).parent / "templates")
templates.env.filters |= display.FILTERS
# The version is in the scripts' addresses. It is not the installed package's: there may be none.
templates.env.globals |= {
    "VERSION": __version__,
    "query": display.query,
    "MATCH_STATUS": display.MATCH_STATUS,
}
