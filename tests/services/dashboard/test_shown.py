"""What the page's interface answers, against what was recorded."""

import io
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import httpx
import numpy as np
import pytest
from browser_site import Site
from cases.page_state import BIG_SIDE, EMPTY, FLASKS, HARD_FILE, HARD_FLASK, SEEN, take_in_actions
from cases.wall_fleet import record_wall, wall_plans
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from monitor.messages import EstimateState
from services.alarms.forecasting import forecast_of
from services.alarms.listing import by_urgency
from services.dashboard.installation import open_installation
from services.dashboard.schemas import ErrorAnswer, FleetResponse, SeriesResponse
from services.settings import Settings
from services.state_folder import StateFolder
from services.store.record_sqlite import SqliteRecord
from services.transport.file_blobs import FileLabels

API = "/api/v1"
FALLS = "MSC-1D"


@pytest.fixture
def record(recorded: StateFolder):
    with SqliteRecord(recorded.record, readonly=True) as opened:
        yield opened


def frames_of(client: httpx.Client, flask: str, **wanted: object) -> dict:
    return client.get(f"{API}/flasks/{flask}/frames", params=wanted).json()


def quoted(flask: str) -> str:
    from urllib.parse import quote

    return quote(flask, safe="")


def test_the_fleet_holds_every_flask_the_urgent_ones_first(client: httpx.Client, record: SqliteRecord):
    fleet = FleetResponse.model_validate(client.get(f"{API}/fleet").json())

    tiles = {tile.flask: tile for tile in fleet.flasks}
    assert {HARD_FLASK, SEEN, EMPTY} <= set(tiles)
    assert len(tiles) >= FLASKS
    assert [tile.urgency for tile in fleet.flasks] == sorted((tile.urgency for tile in fleet.flasks), reverse=True)
    newest = record.estimates(FALLS)[-1]
    tile = tiles[FALLS]
    assert (tile.potency, tile.last_frame_id) == (round(newest.rolling.potency or 0.0, 2), newest.frame_id)
    assert tile.state == "alarm"
    assert tile.channels["potency"] == "unacknowledged"
    assert tiles[EMPTY].state == "no_data"
    assert tiles[EMPTY].potency is None
    assert all(len(tile.spark.t) == len(tile.spark.potency) <= 120 for tile in fleet.flasks)


def test_a_series_is_what_was_estimated(client: httpx.Client, record: SqliteRecord):
    answer = SeriesResponse.model_validate(client.get(f"{API}/flasks/{FALLS}/series", params={"width": 2000}).json())

    stored = record.estimates(FALLS)
    course = answer.series["potency"]
    assert course.t == [one.acquired_at.timestamp() for one in stored]
    assert course.v == [round(one.rolling.potency, 2) for one in stored if one.rolling.potency is not None]
    assert answer.points == len(stored)
    (alarm,) = [one for one in answer.alarms if one.channel == "potency"]
    assert alarm.raised_at > alarm.onset_at
    assert answer.cusum is not None
    assert max(value for value in answer.cusum.v if value is not None) > answer.cusum.limit
    assert answer.baseline is not None
    assert answer.limit is not None
    assert answer.limit < (answer.baseline.v[-1] or 0.0)


def test_a_part_of_a_series_reaches_one_point_beyond_each_end(client: httpx.Client, record: SqliteRecord):
    times = [one.acquired_at.timestamp() for one in record.estimates(FALLS)]
    wanted = {"from": times[10] + 1.0, "to": datetime.fromtimestamp(times[20] - 1.0, UTC).isoformat()}

    answer = client.get(f"{API}/flasks/{FALLS}/series", params={**wanted, "names": "cells"}).json()

    assert answer["series"]["cells"]["t"] == times[10:21]
    assert list(answer["names"]) == ["cells"]


def test_the_forecast_is_that_of_the_command(client: httpx.Client, record: SqliteRecord):
    for flask in (FALLS, "MSC-1A", "MSC-2B"):
        stored = record.estimates(flask)
        expected = forecast_of(flask, stored, Settings().culture)
        found = client.get(f"{API}/flasks/{flask}/series").json()["forecast"]
        for name, last in (("potency", True), ("confluency", False)):
            one = getattr(expected, name)
            if one is None:
                assert found[name] is None
                continue
            fits = [e for e in stored if (e.estimate.state is EstimateState.OK if last else e.quality.passes)]
            ahead = (found[name]["t"] - fits[-1].acquired_at.timestamp()) / 3600.0
            assert ahead == pytest.approx(one.hours, abs=0.001)


def test_frames_are_listed_page_by_page_without_loss(client: httpx.Client, record: SqliteRecord):
    found, cursor = [], None
    while True:
        page = frames_of(client, FALLS, limit=7, **({"cursor": cursor} if cursor else {}))
        found += [item["frame_id"] for item in page["items"]]
        cursor = page["next"]
        if cursor is None:
            break

    assert found == [one.frame_id for one in reversed(record.estimates(FALLS))]
    assert page["total"] == len(found)


def test_a_frame_says_why_it_was_not_assessed(client: httpx.Client):
    (bad,) = [item for item in frames_of(client, SEEN)["items"] if item["state"] == "not_assessable"]

    assert bad["reason"] == "out_of_focus"
    assert "refocus" in bad["reason_text"]


def test_a_frame_that_waits_is_listed(client: httpx.Client):
    (waiting,) = frames_of(client, EMPTY)["items"]

    assert (waiting["state"], waiting["has_outlines"]) == ("waiting", False)


def seen_frame(client: httpx.Client, position: str = "p1") -> dict:
    return next(item for item in frames_of(client, SEEN, position=position)["items"] if item["state"] == "ok")


def test_a_frame_tells_all_that_is_known(client: httpx.Client):
    item = seen_frame(client)

    detail = client.get(f"{API}/frames/{item['frame_id']}").json()

    assert detail["shape_px"] == [512, 512]
    assert detail["quality"]["passes"] is True
    assert detail["provenance"]["engine"] == "eager-cpu-float32"
    assert detail["population"]["area_median"] > 0.0
    assert detail["before"] is not None
    assert client.get(f"{API}/frames/{detail['before']}").json()["after"] == item["frame_id"]


@pytest.mark.parametrize(("name", "kind"), [("image.jpg", "JPEG"), ("cells.png", "PNG"), ("nuclei.png", "PNG")])
def test_pictures_are_of_the_frame_and_may_be_kept_for_ever(client: httpx.Client, name: str, kind: str):
    path = f"{API}/frames/{seen_frame(client)['frame_id']}/{name}"

    answer = client.get(path)
    again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})

    picture = Image.open(io.BytesIO(answer.content))
    assert (picture.format, picture.size) == (kind, (512, 512))
    assert "immutable" in answer.headers["cache-control"]
    assert (again.status_code, again.content) == (304, b"")


def test_outlines_are_those_of_the_label_image(client: httpx.Client, recorded: StateFolder, record: SqliteRecord):
    frame_id = seen_frame(client)["frame_id"]
    fact = record.segmentation(frame_id)
    assert fact is not None
    labels = FileLabels(recorded.masks).get(fact.cells)

    picture = Image.open(io.BytesIO(client.get(f"{API}/frames/{frame_id}/cells.png").content))
    places = np.asarray(picture)

    edge = np.zeros(labels.shape, bool)
    edge[:-1] |= labels[:-1] != labels[1:]
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    np.testing.assert_array_equal(places > 0, edge)
    assert picture.convert("RGBA").getpixel((0, 0))[3] == 0 or edge[0, 0]


def test_a_large_frame_is_shown_small_with_all_its_outlines(client: httpx.Client):
    frame_id = seen_frame(client, "wide <p2>")["frame_id"]

    small = client.get(f"{API}/frames/{frame_id}/image.jpg", params={"width": 640})
    whole = client.get(f"{API}/frames/{frame_id}/image.jpg")
    edge = client.get(f"{API}/frames/{frame_id}/cells.png", params={"width": 640})

    assert Image.open(io.BytesIO(small.content)).size == (640, 640)
    assert Image.open(io.BytesIO(whole.content)).size == (BIG_SIDE, BIG_SIDE)
    outlines = np.asarray(Image.open(io.BytesIO(edge.content))) > 0
    quarter = outlines[:80, :80]  # the picture repeats itself every 512 pixels, 80 of the small ones
    assert 0.01 < outlines.mean() < 0.6
    assert (outlines[80:160, 80:160] == quarter).mean() > 0.98


def test_cells_with_features_and_colours(client: httpx.Client):
    item = seen_frame(client)
    frame_id = item["frame_id"]

    cells = client.get(f"{API}/frames/{frame_id}/cells").json()
    filled = client.get(f"{API}/frames/{frame_id}/cells.png", params={"colour_by": "area"})
    one = client.get(f"{API}/frames/{frame_id}/cells/{cells['cells'][0]['cell']}.jpg")
    unknown = client.get(f"{API}/frames/{frame_id}/cells.png", params={"colour_by": "beauty"})

    assert len(cells["cells"]) == item["cells"]
    area = cells["features"]["area"]
    assert area["unit"] == "um2"
    assert area["low"] < area["high"]
    places = np.asarray(Image.open(io.BytesIO(filled.content)))
    assert len(np.unique(places)) > 5
    assert Image.open(io.BytesIO(one.content)).size == (160, 160)
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "no_feature")


def test_why_names_features_and_cells_that_can_be_seen(client: httpx.Client):
    why = client.get(f"{API}/flasks/{SEEN}/why", params={"frame": seen_frame(client)["frame_id"]}).json()

    assert why["words"]
    strengths = [abs(word["contribution"]) for word in why["words"]]
    assert strengths == sorted(strengths, reverse=True)
    assert why["thumbnails"]
    assert client.get(why["thumbnails"][0]["url"]).headers["content-type"] == "image/jpeg"


def test_why_of_a_frame_that_was_not_assessed_is_its_reason(client: httpx.Client):
    (bad,) = [item for item in frames_of(client, SEEN)["items"] if item["state"] == "not_assessable"]

    why = client.get(f"{API}/flasks/{SEEN}/why", params={"frame": bad["frame_id"]}).json()

    assert why["words"] == []
    assert "refocus" in why["reason"]


def test_hard_names_are_found_and_written_as_they_are(client: httpx.Client):
    page = client.get(f"/flasks/{quoted(HARD_FLASK)}")
    frames = frames_of(client, quoted(HARD_FLASK))

    assert page.status_code == 200
    assert "<b>7</b>" not in page.text
    assert "&lt;b&gt;7&lt;/b&gt;" in page.text
    named = next(item for item in frames["items"] if HARD_FILE in item["source"])
    assert client.get(f"{API}/frames/{named['frame_id']}/image.jpg").status_code == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{API}/flasks/nope/series", 404, "no_flask"),
        (f"{API}/flasks/{FALLS}/series?width=3", 422, "bad_value"),
        (f"{API}/flasks/{FALLS}/series?names=beauty", 422, "no_series"),
        (f"{API}/flasks/{FALLS}/series?from=2026-01-01T00:00:00", 422, "bad_value"),
        (f"{API}/flasks/{FALLS}/series?form=3", 422, "bad_value"),
        (f"{API}/flasks/{FALLS}/frames?cursor=%27", 422, "bad_value"),
        (f"{API}/frames/{'0' * 64}", 404, "frame"),
        (f"{API}/frames/%2e%2e/image.jpg", 404, "frame"),
        (f"{API}/alarms?state=angry", 422, "bad_value"),
        (f"{API}/alarms/{FALLS}/beauty/words", 404, "no_channel"),
        (f"{API}/quarantine/999999/preview.jpg", 404, "no_file"),
        ("/static/x/../../app.py", 404, None),
        ("/static/x/%2e%2e/%2e%2e/settings.py", 404, "no_file"),
        (f"{API}/nothing", 404, "http_404"),
    ],
)
def test_what_cannot_be_answered_says_why(client: httpx.Client, path: str, status: int, code: str | None):
    answer = client.get(path)

    assert answer.status_code == status
    if code is not None and answer.headers["content-type"] == "application/json":
        assert ErrorAnswer.model_validate(answer.json()).error.code == code


def test_a_static_file_is_kept_by_its_address(client: httpx.Client):
    page = client.get("/").text
    address = re.search(r'href="(/static/[0-9a-f]{16}/style\.css)"', page)
    assert address is not None

    kept = client.get(address[1])
    other = client.get(re.sub(r"/static/[0-9a-f]{16}/", "/static/0/", address[1]))

    assert "immutable" in kept.headers["cache-control"]
    assert other.headers["cache-control"] == "private, no-cache"


def test_json_that_did_not_change_is_not_sent_again(client: httpx.Client):
    path = f"{API}/flasks/{FALLS}/series"
    first = client.get(path)

    again = client.get(path, headers={"If-None-Match": f"W/{first.headers['etag']}"})

    assert again.status_code == 304


def test_alarms_are_listed_in_the_order_of_the_command(client: httpx.Client, record: SqliteRecord):
    listed = client.get(f"{API}/alarms", params={"state": "all"}).json()

    expected = [(one.flask, one.channel.value) for one in by_urgency(record.standings())]
    assert [(one["flask"], one["channel"]) for one in listed["items"]] == expected
    first = listed["items"][0]
    assert first["unseen"]
    assert {"acknowledge", "shelve", "out_of_service"} == set(first["can"])
    assert first["action"]


def test_words_for_somebody_who_is_woken(client: httpx.Client):
    words = client.get(f"{API}/alarms/{FALLS}/potency/words").json()["words"]

    assert list(words)[:4] == ["alarm", "status", "what", "since"]
    assert "cusum-lower stands at" in words["how sure"]


def test_history_and_bad_actors(client: httpx.Client, record: SqliteRecord):
    events = client.get(f"{API}/alarms/history", params={"limit": 3}).json()
    more = client.get(f"{API}/alarms/history", params={"limit": 3, "cursor": events["next"]}).json()
    actors = client.get(f"{API}/alarms/bad-actors", params={"days": 30}).json()

    stored = sorted(record.alarms(), key=lambda event: (event.at, event.event_id), reverse=True)
    ids = [one["event_id"] for one in events["items"] + more["items"]]
    assert ids == [event.event_id for event in stored[:6]]
    assert actors["raised"] == sum(one["raised"] for one in actors["items"]) > 0


def test_an_acknowledgement_goes_into_history_under_the_name_of_the_visitor(
    client: httpx.Client, recorded: StateFolder
):
    me = client.get(f"{API}/me").json()["name"]
    path = f"{API}/alarms/MSC-2E/arrival/acknowledge"

    done = client.post(path, json={"comment": "the lift is out of order"}).json()
    waiting = client.get(f"{API}/alarms", params={"flask": "MSC-2E"}).json()["items"][0]["waiting"]
    take_in_actions(recorded)
    with SqliteRecord(recorded.record, readonly=True) as record:
        last = list(record.audit_lines())[-2:]

    assert (done["action"], done["by"], done["taken_in"]) == ("acknowledge", me, False)
    assert waiting == [f"acknowledge by {me}"]
    assert any(line.entry.words == f"{me}: acknowledge. the lift is out of order" for line in last)
    again = client.post(path, json={})
    assert (again.status_code, again.json()["error"]["code"]) == (409, "nothing_to_do")


def test_shelving_has_an_end_within_a_week(client: httpx.Client):
    path = f"{API}/alarms/{FALLS}/potency/shelve"

    assert client.post(path, json={"hours": 200}).status_code == 422
    shelved = client.post(path, json={"hours": 2, "comment": "medium"}).json()
    assert shelved["until"] is not None


def test_quarantine_says_why_and_shows_what_can_be_seen(client: httpx.Client):
    (file,) = client.get(f"{API}/quarantine").json()["items"]

    assert file["reason"] == "truncated"
    assert "<script>" in file["source"]
    assert file["preview_url"] is None
    preview = client.get(f"{API}/quarantine/{file['id']}/preview.jpg")
    assert (preview.status_code, preview.json()["error"]["code"]) == (404, "no_preview")


def test_health_of_a_folder_where_nothing_runs(client: httpx.Client):
    health = client.get(f"{API}/health").json()

    assert (health["running"], health["server"], health["quarantined"]) == (False, None, 1)
    assert health["waiting_frames"] == 1
    assert health["engine"]["engine"] == "eager-cpu-float32"
    assert health["versions"]["cellvigil"]
    assert health["digests"]["weights"]
    letters = client.get(f"{API}/dead-letters").json()
    assert letters == {"items": [], "next": None, "available": False}


def test_metrics_name_their_units_and_parse(client: httpx.Client):
    answer = client.get("/metrics")

    lines = answer.text.splitlines()
    sample = re.compile(r'^[a-z_]+(\{([a-z]+="([^"\\\n]|\\.)*",?)*\})? [-+0-9.eE]+$')
    assert all(line.startswith("#") or sample.match(line) for line in lines)
    assert any(line.startswith('cellvigil_potency_percent{flask="MSC-1A"}') for line in lines)
    assert any('flask="T75 \\"late\\"' in line for line in lines)
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert {family.type for family in families.values()} == {"gauge"}
    assert {name for name in families if not name.startswith("cellvigil_")} == set()
    assert families["cellvigil_flask_state"].samples[0].labels.keys() == {"flask", "state"}
    assert families["cellvigil_audit_intact"].samples[0].value == 1.0


def test_the_description_names_every_path_and_loads_nothing_from_elsewhere(client: httpx.Client):
    document = client.get("/openapi.json").json()
    page = client.get("/api").text

    assert document["openapi"].startswith("3.1")
    assert len(document["paths"]) > 30
    assert not re.findall(r'(?:src|href)="https?://', page)
    assert all(path in page for path in document["paths"])
    assert json.dumps(document).count('"$ref"') > 20


def test_ready_and_alive(client: httpx.Client, site: Site):
    assert client.get("/healthz").json()["status"] == "ok"
    assert client.get("/readyz").json()["status"] == "ok"
    told = json.loads(site.state.page.read_text())
    assert told == {"url": f"{site.url}/", "pid": site.process.pid}


def test_a_report_needs_nothing_else(client: httpx.Client, record: SqliteRecord):
    answer = client.get(f"{API}/flasks/{FALLS}/report.html")
    whole = answer.text

    assert answer.status_code == 200
    assert not re.search(r"<script|<link|<img|src=|url\(", whole)
    assert "default-src 'none'; style-src 'sha256-" in answer.headers["content-security-policy"]
    assert whole.count("<svg") >= 6
    newest = record.estimates(FALLS)[-1]
    assert newest.provenance.weights in whole
    assert "falling since" in whole
    assert "Digest of what can change a number" in whole
    assert "Its chain is whole." in whole


def test_a_report_of_a_hard_name_and_of_nothing(client: httpx.Client):
    hard = client.get(f"{API}/flasks/{quoted(HARD_FLASK)}/report.html")
    empty = client.get(f"{API}/flasks/{EMPTY}/report.html")

    assert hard.status_code == 200
    assert "<b>7</b>" not in hard.text
    assert "No frame was estimated yet." in empty.text


def test_that_the_demonstration_model_made_estimates_stands_over_every_page(client: httpx.Client):
    for path in ("/", "/alarms", f"/flasks/{quoted(HARD_FLASK)}", f"{API}/flasks/{quoted(HARD_FLASK)}/report.html"):
        assert "trained on simulated cultures and knows no real cells" in client.get(path).text, path


def test_estimates_of_another_model_have_no_such_note(tmp_path: Path):
    state = record_wall(tmp_path, wall_plans(1), 8, datetime.now(UTC))
    with SqliteRecord(state.record, readonly=True) as record:
        models = {estimate.provenance.potency_model for estimate in record.estimates()}
    page = open_installation(Settings(state=tmp_path))
    assert page.hub.readings.models() == set()
    page.hub.readings.look()
    assert page.hub.readings.models() == models
    assert page.note is None
