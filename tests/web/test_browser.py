"""The pages in a real browser, inside Airflow, as their users find them.

Needs Debian's Chromium: without /usr/bin/chromium these tests say that they were skipped. With SCREENSHOTS
set to a directory, they leave pictures there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, FrameLocator, Page, expect, sync_playwright

from tests.support.page_world import follow

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
pytestmark = pytest.mark.skipif(not CHROMIUM.exists(), reason="needs the Debian package chromium")
PATHS = (
    "",
    "trust",
    "what-if",
    "services",
    "incidents",
    "on-call",
    "escalations",
    "sync",
    "migration",
)
Open = Callable[..., Page]
# A busy machine may need minutes for what takes a second.
PATIENCE_MS = 180_000
expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Not under tests/at's clock: with libfaketime, Chromium's threads never rest.
    environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=str(CHROMIUM), args=list(ARGUMENTS), env=environment
        )
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(site: Any, browser: Browser) -> Iterator[Open]:
    """Opens a page with a user's login, and sees to it that nothing was complained of in the end."""
    contexts = []
    trouble: list[str] = []

    def opened(path: str, user: str = "user", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1400, "height": 900}, **options})
        context.set_default_timeout(PATIENCE_MS)
        contexts.append(context)
        for cookie in site.session(user).cookies:
            context.add_cookies([{"name": cookie.name, "value": cookie.value or "", "url": site.url}])
        page = context.new_page()
        page.on("console", lambda said: trouble.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: trouble.append(str(error)))
        page.on(
            "request",
            lambda sent: (
                None if sent.url.startswith((site.url, "data:", "blob:")) else trouble.append(sent.url)
            ),
        )
        page.goto(f"{site.pages}/{path}")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []


def picture(page: Page, name: str) -> None:
    if directory := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(directory) / f"{name}.png")


def test_from_the_login_to_an_override_and_its_effect(site: Any, browser: Browser) -> None:
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    page.goto(site.url)
    page.fill("input[name=username]", "user")
    page.fill("input[name=password]", "user")
    page.click("button[type=submit]")
    page.get_by_text("Browse", exact=True).first.click()
    page.get_by_role("menuitem", name="Incidents & DORA").click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", level=1)).to_contain_text("Which deployments hurt")
    expect(frame.locator("#timeline-chart svg").first).to_be_visible()
    picture(page, "overview")
    before = frame.locator("[data-cfr]").first.inner_text()

    frame.get_by_role("link", name="Incidents", exact=True).click()
    expect(frame.get_by_role("heading", level=1)).to_have_text("Incident history")
    frame.get_by_role("combobox", name="Service", exact=True).fill("checkout")
    frame.get_by_label("Match").select_option("matched")
    frame.get_by_role("button", name="Filter").click()
    expect(frame.locator("[data-found]")).to_have_text("40")
    picture(page, "incidents")
    _link_opens_elsewhere(page, frame)

    frame.get_by_role("link", name="Override the deployment").first.click()
    frame.get_by_label("no deployment", exact=True).check()
    frame.get_by_label("Reason").fill("a broken cable")
    frame.get_by_role("button", name="Save").click()
    expect(frame.get_by_role("status")).to_contain_text("Saved")
    # The scheduler would run dora_metrics now.
    follow(site.warehouse)
    frame.get_by_role("link", name="Overview").click()
    expect(frame.locator("[data-cfr]").first).not_to_have_text(before)
    frame.get_by_role("link", name="Incidents", exact=True).click()
    expect(frame.get_by_text("Not caused by a deployment, says user: a broken cable")).to_be_visible()
    context.close()
    with site.warehouse.connection() as connection:
        connection.execute("delete from dora.attribution_overrides")
    follow(site.warehouse)


def _link_opens_elsewhere(page: Page, frame: FrameLocator) -> None:
    """Airflow's frame may not open windows; the page has its parent do it."""
    page.context.route(re.compile("opsgenie.com|github.com"), lambda route: route.fulfill(body="there"))
    with page.expect_popup() as popup:
        frame.locator("table.history a[target=_blank]").first.click()
    assert "opsgenie.com" in popup.value.url
    popup.value.close()


def test_paging(open_page: Open) -> None:
    page = open_page("incidents")
    expect(page.locator("[data-found]")).to_have_text("120")
    first = page.locator("tbody tr").first.inner_text()
    page.get_by_role("link", name="Older").click()
    expect(page.locator("tbody tr").first).not_to_have_text(first)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Older")).to_have_count(0)
    expect(page.locator("tbody tr")).to_have_count(20)
    page.get_by_role("link", name="Newer").click()
    page.get_by_role("link", name="Newer").click()
    expect(page.get_by_role("link", name="Newer")).to_have_count(0)


def test_hostile_titles_stay_titles(open_page: Open) -> None:
    page = open_page("incidents")
    expect(page.get_by_text("<script>")).to_be_visible()
    expect(page).to_have_title("Incidents – Incidents & DORA")


@pytest.mark.parametrize("path", PATHS)
def test_every_page_is_accessible_in_both_schemes_and_fits_a_phone(open_page: Open, path: str) -> None:
    page = open_page(path, color_scheme="light")
    assert serious_violations(page, "light") == []

    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 375, "height": 700})
    page.reload()
    assert serious_violations(page, "dark") == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 375, "it scrolls sideways"


def serious_violations(page: Page, scheme: str) -> list[tuple[str, list[str]]]:
    page.wait_for_load_state("networkidle")
    expect(page.locator("html")).to_have_attribute("data-theme", scheme)
    found = Axe().run(page).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    return [(each["id"], [node["html"] for node in each["nodes"]][:3]) for each in serious]


def test_airflows_own_dark_mode_is_followed(open_page: Open) -> None:
    page = open_page("", color_scheme="light")
    page.evaluate("localStorage.setItem('theme', 'dark')")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(16, 19, 24)"


def test_local_time_on_hover(open_page: Open) -> None:
    page = open_page("incidents", timezone_id="Asia/Tokyo", locale="en-GB")
    time = page.locator("tbody time").first
    time.hover()
    expect(time).to_have_attribute("title", re.compile("Japan|JST|GMT\\+9"))


def test_the_keyboard_alone_reaches_the_filters(open_page: Open) -> None:
    page = open_page("incidents")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("combobox", name="Service", exact=True)).to_be_focused()
    page.keyboard.type("search")
    page.keyboard.press("Enter")
    expect(page.locator("[data-found]")).to_have_text("40")


def test_the_download(open_page: Open) -> None:
    page = open_page("incidents?service=search")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download as CSV").click()
    assert len(download.value.path().read_text().splitlines()) == 41
