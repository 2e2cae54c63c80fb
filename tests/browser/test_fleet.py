"""The fleet in a real browser: everything on one screen, live, acted on with one tap."""

import re
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from browser_site import PHONE, Site
from cases.page_state import EMPTY, FLASKS, HARD_FLASK, bring_in, take_in_actions
from cases.wall_fleet import wall_row

from monitor.culture.settings import CultureSettings
from services.store.record_sqlite import SqliteRecord
from services.workers.predictor import FlaskFolder

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

expect = pytest.importorskip("playwright.sync_api", reason="pip install playwright").expect
pytestmark = pytest.mark.browser

LIVE_MS = 2000


def test_a_wall_screen_shows_every_flask_without_scrolling(page: "Page") -> None:
    page.goto("/")
    expect(page.locator(".tile")).to_have_count(FLASKS)
    tall = page.evaluate("document.documentElement.scrollHeight")
    assert tall <= page.viewport_size["height"]
    for tile in page.locator(".tile").all():
        inside = tile.evaluate("tile => tile.scrollHeight <= tile.clientHeight && tile.scrollWidth <= tile.clientWidth")
        assert inside, tile.inner_text()


def test_the_most_urgent_come_first_and_say_in_words_what_is_wrong(page: "Page") -> None:
    page.goto("/")
    first = page.locator(".tile").first
    expect(first).to_contain_text("alarm, high")
    expect(first.locator(".cause")).to_contain_text("potency fell")
    states = page.locator(".tile").evaluate_all("tiles => tiles.map(tile => tile.dataset.state)")
    assert states.index("ok") > max(i for i, state in enumerate(states) if state in ("alarm", "stale"))
    page.get_by_role("button", name=re.compile("stale")).click()
    expect(page.locator(".tile:visible")).to_have_count(states.count("stale"))


def test_what_is_not_judged_now_has_no_trend(page: "Page") -> None:
    page.goto("/")
    blurred = page.locator('.tile[data-flask="MSC-2B"]')
    expect(blurred).to_contain_text("focus fell")
    expect(blurred.locator(".trend")).to_have_text("not judged now")
    expect(page.locator('.tile[data-flask="MSC-1A"] .trend')).to_contain_text("in 2")
    blurred.get_by_role("link").click()
    expect(page.locator("#headline")).to_contain_text("not judged now")


def test_times_in_sentences_are_in_the_zone_of_the_page(page: "Page") -> None:
    page.goto("/")
    cause = page.locator(".tile .cause").first
    expect(cause).to_have_text(re.compile(r"^since \d+ \w+ \d\d:\d\d: potency fell$"))
    expect(cause).to_have_attribute("title", re.compile(r"falling since \d+ \w+ \d\d:\d\d UTC\+"))
    page.goto("/alarms")
    expect(page.locator(".alarm .what").first).to_contain_text("UTC+")
    assert not re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", page.locator("main").inner_text())


def test_a_flask_without_data_and_one_with_a_hard_name_are_shown_as_they_are(page: "Page") -> None:
    page.goto("/")
    expect(page.locator(f'.tile[data-flask="{EMPTY}"]')).to_contain_text("no estimate yet")
    hard = page.get_by_role("link", name=HARD_FLASK, exact=True)
    expect(hard).to_have_text(HARD_FLASK)
    hard.click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HARD_FLASK)
    expect(page.locator(".panel-potency canvas")).to_be_visible()
    page.goto(f"/flasks/{EMPTY}")
    expect(page.get_by_text("No frame of this flask has been measured yet")).to_be_visible()


def test_a_new_estimate_is_seen_within_two_seconds_without_reloading(page: "Page", site: Site) -> None:
    page.goto("/")
    tile = page.locator('.tile[data-flask="MSC-1A"]')
    expect(tile).to_contain_text("cells")
    page.evaluate("window.notReloaded = true")
    cells = 7654
    add_frame(site, "MSC-1A", cells)
    expect(tile).to_contain_text("7,654", timeout=LIVE_MS)
    assert page.evaluate("window.notReloaded")


def test_acknowledging_goes_to_the_history_and_comes_back_live(page: "Page", site: Site) -> None:
    page.goto("/alarms")
    card = page.locator(".alarm").first
    flask, channel = card.get_attribute("data-flask"), card.get_attribute("data-channel")
    mine = page.locator(f'.alarm[data-flask="{flask}"][data-channel="{channel}"]')
    card.get_by_label(re.compile("^Comment")).fill('on my way <b>"now"</b>')
    card.get_by_role("button", name="Acknowledge").click()
    expect(mine).to_contain_text("Noted, takes effect as soon as the chain runs")
    acted = take_in_actions(site.state)
    assert [(one.flask, one.channel, one.why) for one in acted] == [(flask, channel, 'on my way <b>"now"</b>')]
    expect(mine).to_have_attribute("data-status", "acknowledged", timeout=LIVE_MS)
    expect(mine).to_contain_text('on my way <b>"now"</b>')
    assert mine.inner_text().count("acknowledged by") == 1
    expect(page.locator("#history")).to_contain_text('on my way <b>"now"</b>')
    expect(mine.get_by_role("button", name="Acknowledge")).to_have_count(0)


def test_on_a_phone_one_tap_acknowledges(window: "BrowserContext", site: Site) -> None:
    page = window.new_page()
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    page.goto("/")
    button = page.get_by_role("button", name=re.compile("^Acknowledge")).first
    expect(button).to_be_visible()
    flask = button.locator("xpath=ancestor::li[contains(@class,'tile')]").get_attribute("data-flask")
    button.click()
    assert_soon(lambda: any(one.flask == flask for one in waiting(site)))
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    take_in_actions(site.state)


def test_an_alarm_is_shelved_with_a_reason_and_brought_back(page: "Page", site: Site) -> None:
    page.goto("/alarms")
    card = page.locator('.alarm[data-channel="optics"]').first
    flask = card.get_attribute("data-flask")
    mine = page.locator(f'.alarm[data-flask="{flask}"][data-channel="optics"]')
    card.get_by_role("button", name="Shelve").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Shelve").click()
    expect(dialog).to_be_visible()  # a reason is asked for
    dialog.get_by_label("Reason").fill("the lamp is being changed")
    dialog.get_by_label("For").select_option("8")
    dialog.get_by_role("button", name="Shelve").click()
    assert_soon(lambda: bool(waiting(site)))
    take_in_actions(site.state)
    expect(mine).to_have_attribute("data-status", "shelved", timeout=LIVE_MS)
    expect(mine).to_contain_text("shelved until")
    mine.get_by_role("button", name="Bring back").click()
    assert_soon(lambda: bool(waiting(site)))
    take_in_actions(site.state)
    expect(mine).not_to_have_attribute("data-status", "shelved", timeout=LIVE_MS)


def test_twelve_tabs_are_live_at_once(window: "BrowserContext", site: Site) -> None:
    tabs = [window.new_page() for _ in range(12)]
    for tab in tabs:
        tab.goto("/")
    for tab in tabs:
        expect(tab.locator("#live-words")).to_have_text("live")
    cells = 5432
    add_frame(site, "MSC-1C", cells)
    for tab in tabs:
        expect(tab.locator('.tile[data-flask="MSC-1C"]')).to_contain_text("5,432", timeout=LIVE_MS)


def add_frame(site: Site, flask: str, cells: int) -> None:
    """Record a frame as a predictor does: the newest one, and as late as frames come."""
    with SqliteRecord(site.state.record) as record:
        newest = record.newest_at(flask)
        row = wall_row(flask, max(newest, datetime.now(UTC)) + timedelta(seconds=1), cells)
        bring_in(record, FlaskFolder(CultureSettings()), row)


def waiting(site: Site) -> list:
    with SqliteRecord(site.state.record, readonly=True) as record:
        return record.waiting_actions()


def assert_soon(condition: object, within_s: float = 5.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
