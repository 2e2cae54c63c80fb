import os
import re
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from browser_site import Site
from starlette.datastructures import Headers

from monitor.errors import SettingsError
from services.dashboard.endpoint import Endpoint
from services.dashboard.guard import Guard, is_loopback
from services.dashboard.installation import check_reach
from services.dashboard.passwords import hashed, matches
from services.dashboard.rate_limit import SignInRateLimit
from services.dashboard.roles import Role, Visitor, may
from services.dashboard.routes import ENDPOINTS
from services.dashboard.users import Users
from services.settings import DashboardSettings

PASSWORD = "a long enough sentence"
VALUES = {"flask": "MSC-1A", "frame_id": "0" * 64, "cell": "1", "channel": "potency", "letter": "1-0", "file": "1"}


def address_of(endpoint: Endpoint) -> str:
    def value(found: re.Match[str]) -> str:
        return VALUES.get(found[1], "nobody")

    return re.sub(r"\{(\w+)(?::\w+)?\}", value, endpoint.path)


def ask(client: httpx.Client, endpoint: Endpoint) -> httpx.Response:
    body = {} if endpoint.method == "POST" else None
    return client.request(endpoint.method, address_of(endpoint), json=body)


PROTECTED = [endpoint for endpoint in ENDPOINTS if endpoint.role is not None]


def test_nobody_gets_anything_but_what_is_for_everybody(guarded):
    with guarded.client() as client:
        answers = {endpoint.name: ask(client, endpoint).status_code for endpoint in PROTECTED}

    assert len(answers) == len(PROTECTED) > 40
    assert set(answers.values()) == {401}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR])
def test_a_role_gets_nothing_above_it(guarded, role: Role):
    above = [endpoint for endpoint in ENDPOINTS if not may(role, endpoint.role)]
    with guarded.client(role) as client:
        answers = {endpoint.name: ask(client, endpoint).status_code for endpoint in above}

    assert answers
    assert set(answers.values()) == {403}


@pytest.mark.parametrize("role", list(Role))
def test_a_role_gets_what_it_may(guarded, role: Role):
    allowed = [e for e in PROTECTED if may(role, e.role) and e.method == "GET" and "frame_id" not in e.path]
    with guarded.client(role) as client:
        answers = {endpoint.name: ask(client, endpoint).status_code for endpoint in allowed}

    assert not {name: status for name, status in answers.items() if status in (401, 403) or status >= 500}


def test_every_answer_of_the_table_has_a_role_unless_it_is_for_everybody():
    for_everybody = {endpoint.path for endpoint in ENDPOINTS if endpoint.role is None}

    assert for_everybody == {
        "/login", "/favicon.ico", "/static/{digest}/{name:path}", "/healthz", "/readyz"
    }  # fmt: skip


def test_a_page_for_people_shows_the_form_and_says_401(guarded):
    with guarded.client() as client:
        answer = client.get("/flasks/MSC-1A?x=1")

    assert answer.status_code == 401
    assert 'action="/login"' in answer.text
    assert 'value="/flasks/MSC-1A?x=1"' in answer.text


def test_an_unknown_token_is_turned_away(guarded):
    with guarded.client() as client:
        answer = client.get("/api/v1/fleet", headers={"Authorization": "Bearer cv_wrong"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "bad_token")


@contextmanager
def signed_in(guarded, name: str = "operator") -> Iterator[httpx.Client]:
    with guarded.client() as client:
        assert client.post("/login", data={"name": name, "password": PASSWORD}).status_code == 303
        yield client


def test_signing_in_leaves_a_cookie_that_scripts_and_other_sites_cannot_use(guarded):
    with guarded.client() as client:
        answer = client.post("/login", data={"name": "operator", "password": PASSWORD, "next": "//elsewhere.example"})

    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= {part.strip() for part in cookie.split(";")}


def test_a_change_by_cookie_needs_the_secret_and_our_own_origin(guarded):
    with signed_in(guarded) as client:
        secret = client.get("/api/v1/me").json()["csrf"]
        path = "/api/v1/alarms/MSC-1A/optics/unshelve"
        bare = client.post(path, json={})
        foreign = client.post(path, json={}, headers={"X-CSRF-Token": secret, "Origin": "http://elsewhere.example"})
        other_site = client.post(path, json={}, headers={"X-CSRF-Token": secret, "Sec-Fetch-Site": "cross-site"})
        ours = client.post(path, json={}, headers={"X-CSRF-Token": secret, "Origin": guarded.site.url})

    assert [a.json()["error"]["code"] for a in (bare, foreign, other_site)] == ["bad_csrf", "bad_origin", "bad_origin"]
    assert (ours.status_code, ours.json()["error"]["code"]) == (409, "nothing_to_do")


def test_signing_out_ends_the_sign_in_on_the_server_too(guarded):
    with signed_in(guarded) as client:
        kept = client.cookies["cellvigil_session"]
        client.post("/logout", data={"csrf": client.get("/api/v1/me").json()["csrf"]})
        again = client.get("/api/v1/fleet", headers={"Cookie": f"cellvigil_session={kept}"})

    assert again.status_code == 401


def test_a_wrong_password_says_no_more_than_a_wrong_name(guarded):
    with guarded.client() as client:
        answers = [
            client.post("/login", data={"name": name, "password": "wrong sentence"}) for name in ("viewer", "stranger")
        ]

    assert {answer.status_code for answer in answers} == {401}
    assert "set-cookie" not in answers[0].headers
    shown = [re.sub(r"\s+", " ", answer.text) for answer in answers]
    assert shown[0] == shown[1]


def test_too_many_tries_are_refused_whatever_the_password(guarded):
    with guarded.client() as client:
        for _ in range(5):
            client.post("/login", data={"name": "admin", "password": "wrong sentence"})
        answer = client.post("/login", data={"name": "admin", "password": PASSWORD})

    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) > 0


def test_failures_are_forgotten_after_a_while():
    now = [0.0]
    pace = SignInRateLimit(clock=lambda: now[0])
    for _ in range(5):
        pace.failed("anna", "10.0.0.7")
    now[0] = 901.0

    pace.check("anna", "10.0.0.7")


def test_what_was_signed_and_done_stands_in_the_audit_log(guarded):
    with signed_in(guarded, "viewer") as client:
        client.get("/api/v1/me")
    with guarded.client(Role.ADMIN) as client:
        lines = client.get("/api/v1/audit", params={"limit": 50}).json()
        texts = [line["text"] for line in lines["items"] if line["kind"] == "did"]

    assert "viewer: signed in from 127.0.0.1" in texts
    assert lines["broken_at"] is None


def test_a_request_to_another_name_is_refused(site: Site):
    with httpx.Client(base_url=site.url) as client:
        rebound = client.get("/api/v1/fleet", headers={"Host": "rebound.example"})
        by_name = client.get("/api/v1/me", headers={"Host": "localhost:8765"})
        by_address = client.get("/api/v1/me", headers={"Host": "127.0.0.1"})

    assert (rebound.status_code, rebound.json()["error"]["code"]) == (400, "bad_host")
    assert (by_name.status_code, by_address.status_code) == (200, 200)


def test_without_users_the_visitor_at_this_machine_is_admin(client: httpx.Client):
    me = client.get("/api/v1/me").json()

    assert (me["role"], me["how"]) == ("admin", "local")


def test_what_a_proxy_hands_on_is_not_at_this_machine(client: httpx.Client):
    answer = client.get("/api/v1/fleet", headers={"X-Forwarded-For": "10.0.0.9"})

    assert answer.status_code == 401


def test_every_answer_says_what_a_browser_may_do_with_it(client: httpx.Client):
    answers = [client.get(path) for path in ("/", "/api/v1/fleet", "/nothing", "/healthz")]

    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe-inline" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_users_are_changed_on_the_page(guarded):
    with guarded.client(Role.ADMIN) as client:
        made = client.post("/api/v1/users", json={"name": "bo", "role": "viewer", "password": PASSWORD})
        taken = client.post("/api/v1/users", json={"name": "bo", "role": "viewer", "password": PASSWORD})
        short = client.post("/api/v1/users", json={"name": "cy", "role": "viewer", "password": "short"})
        token = client.post("/api/v1/tokens", json={"user": "bo", "name": "script"}).json()["token"]
        client.post("/api/v1/users/bo/change", json={"role": "operator"})
        role = client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"}).json()["role"]
        listed = {user["name"]: user for user in client.get("/api/v1/users").json()["items"]}
        client.post("/api/v1/users/bo/remove", json={})
        gone = client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})

    assert (made.status_code, taken.status_code, short.status_code) == (200, 422, 422)
    assert role == "operator"
    assert [one["name"] for one in listed["bo"]["tokens"]] == ["script"]
    assert PASSWORD not in str(listed)
    assert gone.status_code == 401


def test_a_mistyped_address_is_a_page_for_people_and_json_for_programs(client: httpx.Client):
    page = client.get("/nothing", headers={"Accept": "text/html,*/*;q=0.8"})
    program = client.get("/nothing")
    api = client.get("/api/v1/nothing", headers={"Accept": "text/html"})

    assert (page.status_code, program.status_code, api.status_code) == (404, 404, 404)
    assert "there is nothing here" in page.text
    assert 'href="/"' in page.text
    assert program.json() == api.json() == {"error": {"code": "http_404", "message": "there is nothing here"}}


def test_a_folder_without_a_record_is_asked_about(tmp_path: Path):
    command = [sys.executable, "-m", "services.main", "dashboard", "--state", str(tmp_path / "typo"), "--port", "0"]
    said = tmp_path / "said"
    with said.open("w") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL) as page:
        deadline = time.monotonic() + 30.0
        while "is it the --state" not in said.read_text() and page.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        page.terminate()

    assert page.returncode == 0
    assert f"nothing is recorded in {tmp_path / 'typo'} yet; is it the --state of" in said.read_text()


def test_an_address_says_what_the_page_itself_speaks():
    own = DashboardSettings(tls_certificate=Path("a.pem"), tls_key=Path("a.key"))
    behind = DashboardSettings(behind_tls=True)

    assert (DashboardSettings().scheme, own.scheme, behind.scheme) == ("http", "https", "http")
    assert (DashboardSettings().secure, own.secure, behind.secure) == (False, True, True)


def test_the_first_user_made_on_the_page_can_make_others(client: httpx.Client):
    made = client.post("/api/v1/users", json={"name": "bo", "role": "operator", "password": PASSWORD})

    assert (made.status_code, made.json()["error"]["code"]) == (422, "last_admin")
    assert client.get("/api/v1/users").json()["items"] == []


def test_the_file_of_users_holds_no_secret_that_could_be_used(tmp_path: Path):
    users = Users(tmp_path / "users.sqlite3")
    users.add("anna", Role.ADMIN, PASSWORD)
    token, secret = users.make_token("anna", "script"), users.sign_in("anna", PASSWORD)

    with sqlite3.connect(tmp_path / "users.sqlite3") as connection:
        whole = "".join(connection.iterdump())
    connection.close()

    assert (tmp_path / "users.sqlite3").stat().st_mode & 0o077 == 0
    assert secret is not None
    for hidden in (PASSWORD, token, secret):
        assert hidden not in whole
    assert "$argon2id$" in whole


def test_a_sign_in_ends_after_its_time(tmp_path: Path):
    users = Users(tmp_path / "users.sqlite3")
    users.add("anna", Role.VIEWER, PASSWORD)
    secret = users.sign_in("anna", PASSWORD)
    assert secret is not None

    hour = timedelta(hours=1)
    assert users.by_session(secret, hour, hour) is not None
    assert users.by_session(secret, timedelta(0), hour) is None
    assert users.by_session(secret, hour, hour) is None


def test_signing_in_forgets_the_sign_ins_that_are_over(guarded):
    def digests() -> set[str]:
        with closing(sqlite3.connect(guarded.site.state.users)) as connection:
            return {row[0] for row in connection.execute("SELECT digest FROM sessions")}

    before = digests()
    with signed_in(guarded):
        (left,) = digests() - before
    with closing(sqlite3.connect(guarded.site.state.users)) as connection, connection:
        connection.execute("UPDATE sessions SET seen_at = '2026-01-01T00:00:00+00:00' WHERE digest = ?", (left,))
    with signed_in(guarded):
        after = digests()

    assert left not in after
    assert len(after) == len(before) + 1


def test_the_last_admin_stays(tmp_path: Path):
    users = Users(tmp_path / "users.sqlite3")
    users.add("anna", Role.ADMIN, PASSWORD)
    users.add("bo", Role.VIEWER, PASSWORD)

    with pytest.raises(SettingsError, match="only admin"):
        users.remove("anna")
    with pytest.raises(SettingsError, match="only admin"):
        users.change("anna", role=Role.VIEWER)
    users.remove("bo")
    with pytest.raises(SettingsError, match="only admin"):
        users.remove("anna")
    users.remove("anna", last=True)
    assert not users.any()


@pytest.mark.parametrize("name", ["", " anna", "a\nb", "x" * 65, "a\u202eb"])
def test_names_that_could_deceive_are_refused(name: str, tmp_path: Path):
    with pytest.raises(SettingsError, match="cannot be a name"):
        Users(tmp_path / "users.sqlite3").add(name, Role.VIEWER, PASSWORD)


def test_a_password_fits_its_own_hash_alone():
    kept = hashed(PASSWORD)

    assert matches(kept, PASSWORD)
    assert not matches(kept, PASSWORD + " ")
    assert not matches(None, PASSWORD)
    assert not matches("no hash", PASSWORD)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("", False),
    ],
)
def test_loopback(address: str, expected: bool):
    assert is_loopback(address) is expected


def test_strangers_cannot_reach_a_page_without_users_or_without_https(tmp_path: Path):
    users = Users(tmp_path / "users.sqlite3")
    check_reach(users, DashboardSettings())
    with pytest.raises(SettingsError, match="user add NAME --role admin"):
        check_reach(users, DashboardSettings(host="0.0.0.0"))

    users.add("anna", Role.ADMIN, PASSWORD)
    with pytest.raises(SettingsError, match="in the clear"):
        check_reach(users, DashboardSettings(host="0.0.0.0"))
    check_reach(users, DashboardSettings(host="0.0.0.0", behind_tls=True))


def test_an_open_bind_ends_with_exit_code_2_and_its_mend(tmp_path: Path):
    command = [sys.executable, "-m", "services.main", "dashboard", "--state", str(tmp_path), "--host", "0.0.0.0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ, "NO_COLOR": "1"})

    assert done.returncode == 2
    assert "user add NAME --role admin" in done.stderr


def test_local_access_can_be_turned_off(tmp_path: Path):
    guard = Guard(Users(tmp_path / "users.sqlite3"), DashboardSettings(local_access=False), "me")

    assert guard.visitor(Headers({}), {}, "127.0.0.1") == Visitor()


@pytest.mark.parametrize(
    "settings", [DashboardSettings(host="10.0.0.5"), DashboardSettings(behind_tls=True)], ids=["reachable", "proxied"]
)
def test_nobody_is_taken_to_be_at_this_machine_where_others_could_be(settings: DashboardSettings, tmp_path: Path):
    guard = Guard(Users(tmp_path / "users.sqlite3"), settings, "me")

    assert guard.visitor(Headers({}), {}, "127.0.0.1") == Visitor()


def test_the_cookie_is_for_https_alone_where_the_page_is(tmp_path: Path):
    guard = Guard(Users(tmp_path / "users.sqlite3"), DashboardSettings(behind_tls=True), "me")

    assert "; Secure" in guard.cookie("x")
