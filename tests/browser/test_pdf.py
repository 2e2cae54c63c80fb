"""A flask's report comes as PDF too, whatever its name is, and nothing is fetched to make it."""

import importlib
import re
import socketserver
import threading
import zlib
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest
from browser_site import Site
from cases.page_state import EMPTY, HARD_FLASK

from services.dashboard.pdf import set_as_pdf

pytestmark = pytest.mark.browser
FALLS = "MSC-1D"


@pytest.fixture(autouse=True)
def setter() -> None:
    try:
        importlib.import_module("weasyprint")
    except (ImportError, OSError) as error:
        pytest.skip(f"pip install 'cellvigil[pdf]', apt-get install libpango-1.0-0 libpangoft2-1.0-0 ({error})")


def inner(pdf: bytes) -> bytes:
    """Return what the compressed streams of a file hold, objects and pages."""
    streams = re.findall(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL)
    return b"\n".join(zlib.decompressobj().decompress(stream) for stream in streams if stream[:1] == b"x")


def pages_of(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b", inner(pdf)))


def titles_of(pdf: bytes) -> set[str]:
    """Return the title of the file and those of its outline."""
    found = re.findall(rb"/Title\s*(?:<feff([0-9a-f]+)>|\(((?:[^()\\]|\\.)*)\))", inner(pdf))
    return {bytes.fromhex(coded.decode()).decode("utf-16-be") if coded else plain.decode() for coded, plain in found}


@pytest.mark.parametrize("flask", [FALLS, HARD_FLASK, EMPTY])
def test_a_report_comes_as_pdf(site: Site, flask: str) -> None:
    with httpx.Client(base_url=site.url, timeout=60.0) as client:
        answer = client.get(f"/api/v1/flasks/{quoted(flask)}/report.pdf")
        shell = client.get(f"/flasks/{quoted(flask)}").text

    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/pdf"
    assert answer.headers["content-disposition"].startswith("attachment; filename*=UTF-8''cellvigil%20")
    assert answer.content.startswith(b"%PDF-")
    assert {f"{flask} · cellvigil report", "Alarms", "Audit log"} <= titles_of(answer.content)
    assert pages_of(answer.content) >= (4 if flask == FALLS else 2)
    assert f"/api/v1/flasks/{quote(flask)}/report.pdf" in shell


def test_an_unknown_flask_has_no_pdf(site: Site) -> None:
    answer = httpx.get(f"{site.url}/api/v1/flasks/nobody/report.pdf", timeout=60.0)

    assert answer.status_code == 404
    assert "there is no flask 'nobody'" in answer.json()["error"]["message"]


def test_nothing_is_fetched(asked: list[bytes], stranger: str) -> None:
    page = f"<title>x</title><img src='{stranger}/a.png'><link rel=stylesheet href='{stranger}/b.css'>"
    page += "<object data='file:///etc/passwd'></object><style>@import url(file:///etc/passwd)</style>"

    assert set_as_pdf(page).startswith(b"%PDF-")
    assert asked == []


@pytest.fixture
def asked() -> list[bytes]:
    return []


@pytest.fixture
def stranger(asked: list[bytes]) -> Iterator[str]:
    class Noted(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline())

    with socketserver.TCPServer(("127.0.0.1", 0), Noted) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def quoted(flask: str) -> str:
    return quote(flask, safe="")
