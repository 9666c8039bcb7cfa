"""The page in a real browser: both warnings with their pictures, live, without a reload."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from tests.vedette.conftest import System, drawn_clips, start_system
from tests.vedette.test_up import warning_of
from vedette.demo.data import data_folder
from vedette.demo.site import cameras, has_clips

CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync"]  # fmt: skip


@contextmanager
def open_page() -> Iterator[Page]:
    """A page of a fresh browser; whatever the page itself complains of fails the test."""
    complaints: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        opened = browser.new_page(viewport={"width": 1600, "height": 960}, locale="en-GB")
        opened.on("console", lambda message: message.type == "error" and complaints.append(message.text))
        opened.on("pageerror", lambda error: complaints.append(str(error)))
        yield opened
        browser.close()
    # A lost connection is reported by the browser itself; the page shows it in its own way.
    assert [text for text in complaints if "WebSocket connection" not in text] == []


@pytest.fixture
def page() -> Iterator[Page]:
    """See ``open_page``."""
    with open_page() as opened:
        yield opened


def picture_is_there(page: Page) -> None:
    picture = page.get_by_test_id("snapshot")
    expect(picture).to_be_visible(timeout=30_000)
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") > 0


def test_both_warnings_with_their_evidence(system: System, page: Page) -> None:
    warning_of(system, "fire")
    warning_of(system, "gas")
    page.goto(system.url)
    expect(page.get_by_test_id("link")).to_have_class(re.compile("live"))
    page.locator('[data-testid=warning][data-kind="fire"]').first.click()
    expect(page.get_by_test_id("detail")).to_have_attribute("data-kind", "fire")
    picture_is_there(page)
    page.locator('[data-testid=warning][data-kind="gas"]').first.click()
    expect(page.get_by_test_id("detail")).to_have_attribute("data-kind", "gas")
    expect(page.get_by_test_id("detail").get_by_test_id("reading").first).to_be_visible()
    expect(page.locator('aside [data-testid=reading][data-quantity="co"]')).to_be_visible()
    expect(page.locator("[data-testid=model][data-model=fire]")).to_contain_text(re.compile(r"fire \d+\.\d+\.\d+"))
    expect(page.get_by_test_id("heartbeat").first).to_contain_text("last heartbeat through")
    expect(page.get_by_test_id("trouble")).to_have_count(0)
    page.locator('[data-testid=warning][data-kind="fire"]').first.click()
    picture_is_there(page)
    wanted = os.environ.get("VEDETTE_SCREENSHOT")
    if wanted:
        page.wait_for_timeout(8000)
        page.screenshot(path=wanted)


def test_acknowledging_shows_without_reload(system: System, page: Page) -> None:
    warning = warning_of(system, "fire")
    page.goto(f"{system.url}/#{warning['id']}")
    page.get_by_label("Your name").fill("Ana Silva")
    button = page.get_by_role("button", name="Acknowledge")
    expect(button).to_be_enabled(timeout=15_000)
    button.click()
    expect(page.locator(f'[data-testid=warning][data-id="{warning["id"]}"] .state')).to_have_text("acknowledged")
    expect(page.locator(".history")).to_contain_text("Ana Silva")


def test_page_speaks_chinese(system: System, page: Page) -> None:
    page.goto(system.url)
    page.get_by_role("button", name="中文").click()
    expect(page.get_by_role("heading", name=re.compile("预警"))).to_be_visible()


@pytest.mark.slow  # a system of its own: the page is open before anything burns
def test_warning_arrives_live_and_a_lost_server_is_told(tmp_path: Path, page: Page) -> None:
    data = data_folder()
    visitors = cameras(data, Path() if has_clips(data) else drawn_clips())[0].url
    system = start_system(tmp_path, "--camera", visitors)
    try:
        page.goto(system.url)
        fire = page.locator('[data-testid=warning][data-kind="fire"]').first
        expect(fire).to_be_visible(timeout=60_000)
        fire.click()
        picture_is_there(page)
        expect(page.locator('[data-testid=warning][data-kind="gas"]').first).to_be_visible(timeout=60_000)
        expect(page.get_by_test_id("source").filter(has_text="Camera 1")).to_be_visible()
        system.stop()
        expect(page.get_by_role("alert")).to_contain_text("CONNECTION LOST", timeout=15_000)
    finally:
        system.stop()
