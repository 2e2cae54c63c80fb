"""Every page in a real browser: for keys, for eyes that see no colour, for a phone, and with the server gone."""

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from browser_site import PHONE, Site, end, serve
from cases.page_state import BIG_SIDE, HARD_FILE, HARD_FLASK, SEEN
from cases.wall_fleet import record_wall, wall_plans

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

expect = pytest.importorskip("playwright.sync_api", reason="pip install playwright").expect
pytestmark = pytest.mark.browser

PATHS = ("/", f"/flasks/{SEEN}", f"/flasks/{SEEN}/frames", "/alarms", "/health", "/users", "/api")
IS_DRAWN = {
    "/": ".tile",
    f"/flasks/{SEEN}/frames": "#sheet img",
    "/alarms": ".alarm",
    "/health": "#figures .figure",
    "/users": "#users table",
    "/api": ".endpoint",
}
LEAST_FOCUS_PX = 2
PASSWORD = "a sentence that is easy to keep"


def drawn(page: "Page", path: str) -> None:
    page.goto(path)
    expect(page.locator(IS_DRAWN.get(path, ".panel-potency canvas")).first).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_accessibility_rule_is_broken(page: "Page", axe: str, theme: str) -> None:
    page.emulate_media(color_scheme=theme)
    broken = {}
    for path in PATHS:
        drawn(page, path)
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        broken |= {
            f"{path} {one['id']}": [f"{node['html'][:160]} {node['failureSummary']}" for node in one["nodes"][:3]]
            for one in found["violations"]
        }
    assert broken == {}


def test_no_page_is_wider_than_a_phone(page: "Page") -> None:
    page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
    for path in PATHS:
        drawn(page, path)
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE[0], path


def test_outlines_are_switched_and_cells_are_coloured_and_chosen(page: "Page") -> None:
    drawn(page, f"/flasks/{SEEN}/frames")
    cells, nuclei = page.locator(".layer-cells"), page.locator(".layer-nuclei")
    expect(cells).to_have_count(1)
    page.get_by_role("button", name="cells", exact=False).first.click()
    expect(cells).to_have_count(0)
    expect(nuclei).to_have_count(1)
    page.locator("#stage").press("n")
    expect(nuclei).to_have_count(0)
    page.locator("#stage").press("c")
    expect(cells).to_have_count(1)
    page.get_by_label("colour by").select_option("area")
    expect(page.locator(".layer-fill")).to_have_count(1)
    expect(page.locator("#legend")).to_contain_text("µm²", timeout=30_000)
    page.locator("#stage").press(".")
    expect(page.locator("#cell")).to_contain_text("Cell 1")
    expect(page.locator(".marker rect").first).to_be_attached()
    sizes = page.locator("#sheet img").evaluate_all("images => images.map(image => image.naturalWidth)")
    assert len(sizes) == 3
    assert all(size == 512 for size in sizes)


def test_the_flask_that_was_seen_says_why(page: "Page") -> None:
    page.goto(f"/flasks/{SEEN}")
    expect(page.locator("#why .reasons li")).not_to_have_count(0, timeout=30_000)
    expect(page.locator("#why .thumbnails img").first).to_be_visible()
    broken = "images => images.filter(image => image.complete && image.naturalWidth === 0).length"
    assert page.locator("#why .thumbnails img").evaluate_all(broken) == 0


def test_a_click_on_a_cell_shows_its_numbers(page: "Page") -> None:
    drawn(page, f"/flasks/{SEEN}/frames")
    detail = page.request.get(f"/api/v1/frames/{page.locator('#sheet').get_attribute('data-frame')}/cells").json()
    cell = next(one for one in detail["cells"] if one["whole"])
    y, x = cell["centroid_px"]
    box = page.locator("#sheet").bounding_box()
    rows, columns = detail["shape_px"]
    page.mouse.click(box["x"] + x / columns * box["width"], box["y"] + y / rows * box["height"])
    expect(page.locator("#cell")).to_contain_text(re.compile(r"Cell \d+"))
    expect(page.locator("#cell")).to_contain_text("µm")


def test_a_rejected_frame_says_why_and_time_is_walked_with_keys(page: "Page") -> None:
    drawn(page, f"/flasks/{SEEN}/frames")
    stage = page.locator("#stage")
    newest = page.locator("#sheet").get_attribute("data-frame")
    stage.press("ArrowLeft")
    expect(page.locator("#sheet")).not_to_have_attribute("data-frame", newest)
    expect(page.locator("#headline")).to_contain_text("not assessable")
    expect(page.locator("#headline .reason")).to_contain_text("focus")
    stage.press("ArrowRight")
    expect(page.locator("#sheet")).to_have_attribute("data-frame", newest)


def test_a_large_frame_is_sent_no_larger_than_it_is_shown(page: "Page") -> None:
    drawn(page, f"/flasks/{SEEN}/frames")
    page.get_by_role("button", name="wide <p2>").click()
    expect(page.locator("#facts")).to_contain_text(f"{BIG_SIDE} × {BIG_SIDE} px")
    picture = page.locator("#sheet img").first
    expect(picture).to_have_js_property("complete", True)
    width = picture.evaluate("image => image.naturalWidth")
    assert page.locator("#sheet").bounding_box()["width"] <= width < BIG_SIDE
    page.get_by_role("button", name="Larger").click()
    page.wait_for_function("before => document.querySelector('#sheet img').naturalWidth > before", arg=width)


def test_a_file_with_a_hard_name_is_only_a_name(page: "Page") -> None:
    page.goto("/")
    page.get_by_role("link", name=HARD_FLASK, exact=True).click()
    page.get_by_role("link", name="Frames").click()
    expect(page.locator("#facts .path")).to_contain_text(HARD_FILE)
    page.goto("/health")
    expect(page.locator("#quarantine")).to_contain_text('<script>alert("2")')
    assert page.locator("main img[onerror], main script").count() == 0


def test_everything_is_reached_with_the_tab_key_and_focus_is_seen(page: "Page") -> None:
    drawn(page, "/alarms")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    reached = set()
    for _ in range(60):
        page.keyboard.press("Tab")
        name, width = page.evaluate(
            "() => { const on = document.activeElement, look = getComputedStyle(on);"
            " return [on.textContent || on.getAttribute('aria-label') || on.tagName, parseFloat(look.outlineWidth)]; }"
        )
        if name == "Skip to the content":
            break
        assert width >= LEAST_FOCUS_PX, f"no focus ring on {name!r}"
        reached.add(name)
    assert {"Shelve…", "Out of service…"} <= reached


def test_the_time_range_follows_keys_and_buttons(page: "Page") -> None:
    drawn(page, "/flasks/MSC-1A")
    note = page.locator("#zone-note")
    before = note.inner_text()
    page.locator("#charts").press("+")
    expect(note).not_to_have_text(before)
    page.locator("#charts").press("ArrowLeft")
    page.locator("#charts").press("0")
    expect(page.get_by_role("button", name="all", exact=True)).to_have_attribute("aria-pressed", "true")
    expect(note).to_contain_text("times in UTC+")
    page.locator(".menu summary").click()
    page.locator("#zone").click()
    expect(note).to_have_text(re.compile("times in UTC$"))


WATCH_LABELS = """() => {
  const own = CanvasRenderingContext2D.prototype, { rect, fillText } = own;
  window.cutOff = [];
  window.labels = [];
  own.rect = function (x, y, w, h) { this.within = [y, y + h]; return rect.call(this, x, y, w, h); };
  own.fillText = function (text, x, y) {
    window.labels.push(text);
    if (/^(limit|floor|goal)/.test(text)) {
      const tall = parseFloat(this.font.match(/([\\d.]+)px/)[1]);
      if (y - 0.8 * tall < this.within[0] || y > this.within[1]) window.cutOff.push(text);
    }
    return fillText.call(this, text, x, y);
  };
}"""


def test_no_label_of_a_level_is_cut_off(page: "Page") -> None:
    page.add_init_script(f"({WATCH_LABELS})()")
    for flask in (SEEN, "MSC-1A", "MSC-1D"):
        drawn(page, f"/flasks/{flask}")
        labels = page.evaluate("window.labels.filter(text => /^(limit|floor)/.test(text)).length")
        assert labels >= 3, flask  # floor and limit of the potency, limit of the detector
        assert page.evaluate("window.cutOff") == [], flask


def test_curves_can_be_read_as_a_table(page: "Page") -> None:
    drawn(page, "/flasks/MSC-1A")
    page.get_by_text("Values as a table").click()
    expect(page.locator("#values tbody tr")).not_to_have_count(0)
    expect(page.locator("#values thead")).to_contain_text("confluency")
    expect(page.locator(".panel-potency .panel-plot")).to_have_attribute("aria-label", re.compile(r"^Potency from \d"))


def test_the_report_of_a_flask_is_one_file_that_opens(page: "Page") -> None:
    drawn(page, "/flasks/MSC-1D")
    page.get_by_role("link", name="Report").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("MSC-1D")
    expect(page.locator("svg").first).to_be_visible()
    assert page.locator("script, link[rel=stylesheet], img:not([src^='data:'])").count() == 0


def test_the_theme_is_kept(page: "Page") -> None:
    page.goto("/")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.locator(".menu summary").click()
    for _ in range(2):
        page.locator("#theme").click()
    assert page.evaluate(ground) != light
    page.reload()
    assert page.evaluate(ground) != light


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A page with a viewer and an operator, over three flasks of which one alarms."""
    home = tmp_path_factory.mktemp("small")
    plans = wall_plans(4)[1:]
    state = record_wall(home / "state", plans, 90, datetime.now(UTC).replace(microsecond=0))
    for name, role in (("vera", "viewer"), ("otto", "operator"), ("ada", "admin")):
        command = [sys.executable, "-m", "services.main", "dashboard", "user", "add", name, "--role", role]
        subprocess.run([*command, "--state", str(state.root)], input=f"{PASSWORD}\n{PASSWORD}\n", text=True, check=True)
    served = serve(state)
    yield served
    if served.process.poll() is None:
        end(served)


@pytest.fixture
def visit(browser: "Browser", small: Site) -> Iterator["BrowserContext"]:
    context = browser.new_context(base_url=small.url)
    context.set_default_timeout(10_000)
    yield context
    context.close()


def sign_in(page: "Page", name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_a_viewer_signs_in_and_finds_no_buttons_that_he_may_not_press(visit: "BrowserContext") -> None:
    page = visit.new_page()
    page.goto("/alarms")
    sign_in(page, "vera", "not the password")
    expect(page.get_by_role("alert").filter(has_text="do not fit")).to_be_visible()
    sign_in(page, "vera")
    expect(page).to_have_url(re.compile("/alarms$"))
    expect(page.locator(".alarm").first).to_be_visible()
    expect(page.get_by_role("button", name="Acknowledge")).to_have_count(0)
    expect(page.get_by_role("link", name="Users")).to_have_count(0)
    page.locator(".menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/login"))


def test_an_operator_acts_under_his_own_name(visit: "BrowserContext", small: Site) -> None:
    page = visit.new_page()
    page.goto("/alarms")
    sign_in(page, "otto")
    page.get_by_role("button", name="Acknowledge").first.click()
    expect(page.locator(".alarm").first).to_contain_text("acknowledge by otto")


def test_an_admin_adds_somebody_and_makes_a_token(visit: "BrowserContext") -> None:
    page = visit.new_page()
    page.goto("/users")
    sign_in(page, "ada")
    page.locator("#add").get_by_label("Name").fill('<i>"nina"</i>')
    page.locator("#add").get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#outcome")).not_to_be_empty()
    mine = page.get_by_label("Role of ada")
    mine.select_option("viewer")
    expect(page.locator("#outcome")).to_contain_text("ada is the only admin")
    expect(mine).to_have_value("admin")
    page.locator("#token").get_by_label("User").select_option("vera")
    page.locator("#token").get_by_label("Name of the token").fill("wall screen")
    page.get_by_role("button", name="Make a token").click()
    token = page.locator("#new-token .secret").inner_text()
    answer = visit.request.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.json()["name"] == "vera"


def test_a_page_whose_server_is_gone_says_so_and_comes_back(browser: "Browser", tmp_path: Path) -> None:
    state = record_wall(tmp_path / "state", wall_plans(2), 60, datetime.now(UTC).replace(microsecond=0))
    served = serve(state)
    context = browser.new_context(base_url=served.url)
    page = context.new_page()
    page.goto("/")
    expect(page.locator(".tile")).to_have_count(2)
    port = served.url.rpartition(":")[2]
    end(served)
    expect(page.locator("#cut-off")).to_contain_text("has not answered since", timeout=8000)
    again = serve(state, "--port", port)
    expect(page.locator("#live-words")).to_have_text("live", timeout=20_000)
    expect(page.locator("#cut-off")).to_be_hidden()
    context.close()
    end(again)
