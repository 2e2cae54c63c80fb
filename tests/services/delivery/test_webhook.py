import json
import shutil
import socket
import ssl
import subprocess
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from alarm_receiver import SECRET, AlarmReceiver, alarm, secret_file

from monitor.errors import SettingsError
from services.delivery.address import checked_addresses
from services.delivery.receiver import DeliveryFailed
from services.delivery.webhook import Webhook, read_secret, sign, verify_signature
from services.settings import WebhookSettings

PUBLIC = "93.184.216.34"


def webhook(url: str, tmp_path: Path, *, timeout_s: float = 2.0, allow_private: bool = True, **more: object) -> Webhook:
    settings = WebhookSettings(
        url=url, secret_file=secret_file(tmp_path), allow_private=allow_private, timeout_s=timeout_s
    )
    return Webhook.of(settings, **more)


def test_a_signed_alarm_arrives_whole(tmp_path: Path) -> None:
    event = alarm(1, flask="Zürich <img onerror>\n\u202e", event_id="odd\r\nkey: 1")
    with AlarmReceiver() as receiver:
        webhook(receiver.url + "?team=night shift&x=%41", tmp_path).send(event)
    (call,) = receiver.calls
    assert call.genuine
    assert call.key == "odd%0D%0Akey:%201"
    assert call.target == "/alarms?team=night%20shift&x=%41"
    assert call.headers["Content-Type"] == "application/json"
    assert call.headers["Host"] == f"127.0.0.1:{receiver.port}"
    assert json.loads(call.body) == event.model_dump(mode="json")
    wanted = "flask channel state at cause action priority alarm_id event_id schema_version"
    assert set(wanted.split()) <= json.loads(call.body).keys()


@pytest.mark.parametrize(
    ("timestamp", "body", "signature"),
    [
        ("1000", b"{}", sign(b"other", "1000", b"{}")),
        ("1000", b"{ }", sign(SECRET, "1000", b"{}")),
        ("1001", b"{}", sign(SECRET, "1000", b"{}")),
        ("600", b"{}", sign(SECRET, "600", b"{}")),
        ("-1", b"{}", sign(SECRET, "-1", b"{}")),
        ("9" * 5000, b"{}", ""),
        ("", b"{}", ""),
        ("\u0661\u0660\u0660\u0660", b"{}", ""),
        ("1000", b"{}", "sha256=\u00fc\udc80"),
    ],
)
def test_a_forged_or_old_signature_is_refused(timestamp: str, body: bytes, signature: str) -> None:
    assert not verify_signature(SECRET, timestamp, body, signature, tolerance_s=300.0, now=lambda: 1000.0)


@pytest.mark.parametrize(
    ("status", "refused"),
    [
        *[(301, True), (302, True), (307, True), (400, True), (404, True), (410, True)],
        *[(101, False), (408, False), (429, False), (500, False), (503, False)],
    ],
)
def test_anything_but_2xx_is_a_failure(tmp_path: Path, status: int, refused: bool) -> None:
    def goes_elsewhere(handler: object) -> None:
        raise AssertionError("a redirect was followed")

    with AlarmReceiver(usually=goes_elsewhere) as elsewhere, AlarmReceiver() as receiver:
        receiver.script = [(status, {"Location": elsewhere.url})]
        with pytest.raises(DeliveryFailed, match=f"answers {status}") as failed:
            webhook(receiver.url, tmp_path).send(alarm(1))
    assert failed.value.refused is refused
    assert (len(receiver.calls), len(elsewhere.calls)) == (1, 0)


@pytest.mark.parametrize(
    ("wait_s", "as_date", "low", "high"), [(7, False, 7.0, 7.0), (100, True, 60.0, 100.0), (-100, True, 0.0, 0.0)]
)
def test_retry_after_is_read(tmp_path: Path, wait_s: int, as_date: bool, low: float, high: float) -> None:
    header = format_datetime(datetime.now(UTC) + timedelta(seconds=wait_s), usegmt=True) if as_date else str(wait_s)
    answers = AlarmReceiver(script=[(429, {"Retry-After": header})])
    with answers as receiver, pytest.raises(DeliveryFailed) as failed:
        webhook(receiver.url, tmp_path).send(alarm(1))
    assert failed.value.pause_s is not None and low <= failed.value.pause_s <= high


@pytest.mark.parametrize("header", ["soon", "-3", "9" * 400, ""])
def test_a_strange_retry_after_is_ignored(tmp_path: Path, header: str) -> None:
    answers = AlarmReceiver(script=[(503, {"Retry-After": header})])
    with answers as receiver, pytest.raises(DeliveryFailed) as failed:
        webhook(receiver.url, tmp_path).send(alarm(1))
    assert failed.value.pause_s is None


@pytest.mark.parametrize("behaviour", ["hang", "drip"])
def test_a_receiver_that_never_finishes_is_left_in_time(tmp_path: Path, behaviour: str) -> None:
    with AlarmReceiver() as receiver:
        receiver.usually = getattr(receiver, behaviour)
        started = time.monotonic()
        with pytest.raises(DeliveryFailed, match=r"no answer within 0\.3 s"):
            webhook(receiver.url, tmp_path, timeout_s=0.3).send(alarm(1))
        assert 0.3 <= time.monotonic() - started < 1.5


def test_an_endless_answer_is_not_read_to_its_end(tmp_path: Path) -> None:
    sent = 0

    def pour(handler: object) -> None:
        nonlocal sent
        handler.wfile.write(b"HTTP/1.1 500 no\r\n\r\n")
        try:
            while True:
                sent += handler.wfile.write(b"\x1b[2J" * 16_384)
        except OSError:
            return

    with AlarmReceiver(usually=pour) as receiver, pytest.raises(DeliveryFailed) as failed:
        webhook(receiver.url, tmp_path).send(alarm(1))
    assert sent < 50_000_000
    assert str(failed.value).isprintable() and len(str(failed.value)) < 300


def test_nobody_at_home_is_a_failure_that_may_pass(tmp_path: Path) -> None:
    with AlarmReceiver() as receiver:
        url = receiver.url
    with pytest.raises(DeliveryFailed, match="refused") as failed:
        webhook(url, tmp_path).send(alarm(1))
    assert not failed.value.refused


INSIDE = ["10.0.0.1", "192.168.1.5", "172.16.0.9", "127.0.0.1", "::1", "100.64.0.1", "fd12::1", "0.0.0.0", "::"]
INSIDE += ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:a00:1::", "240.0.0.1"]
NEVER = ["169.254.169.254", "169.254.1.1", "fe80::1", "fe80::1%lo", "fd00:ec2::254", "168.63.129.16", "224.0.0.1"]
NEVER += ["::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "0.0.0.0", "::", "ff02::1"]


@pytest.mark.parametrize("place", INSIDE + NEVER)
@pytest.mark.parametrize("others", [[], [PUBLIC]])
def test_a_name_that_leads_inside_is_refused(place: str, others: list[str]) -> None:
    with pytest.raises(DeliveryFailed, match="leads to") as failed:
        checked_addresses("alarms.example", 443, allow_private=False, resolve=lambda host, port: [*others, place])
    assert failed.value.refused


@pytest.mark.parametrize("place", NEVER)
def test_some_places_are_refused_whatever_is_allowed(place: str) -> None:
    with pytest.raises(DeliveryFailed, match="no receiver can be"):
        checked_addresses("alarms.example", 443, allow_private=True, resolve=lambda host, port: [place])


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "[::ffff:127.0.0.1]", "[fe80::1]", "192.168.1.1"])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_number_that_leads_inside_is_refused_at_the_start(tmp_path: Path, host: str, scheme: str) -> None:
    with pytest.raises(SettingsError, match=r"private network|no receiver can be|use https"):
        webhook(f"{scheme}://{host}/hook", tmp_path, allow_private=False)


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.0.0.1"])
def test_a_disguised_number_is_refused_when_sending(tmp_path: Path, host: str) -> None:
    with pytest.raises(DeliveryFailed, match="private network"):
        webhook(f"https://{host}/hook", tmp_path, allow_private=False).send(alarm(1))


def test_the_connection_goes_to_the_checked_address_and_the_name_is_looked_up_once(tmp_path: Path) -> None:
    asked: list[str] = []

    def rebinds(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["169.254.169.254"]

    with AlarmReceiver() as receiver:
        hook = webhook(f"http://alarms.example:{receiver.port}/hook", tmp_path, resolve=rebinds)
        hook.send(alarm(1))
        with pytest.raises(DeliveryFailed, match="no receiver can be"):
            hook.send(alarm(2))
    assert asked == ["alarms.example"] * 2
    assert [call.headers["Host"] for call in receiver.calls] == [f"alarms.example:{receiver.port}"]


def test_the_next_checked_address_is_tried_when_one_does_not_answer(tmp_path: Path) -> None:
    with AlarmReceiver() as receiver:
        url = f"http://alarms.example:{receiver.port}/hook"
        webhook(url, tmp_path, resolve=lambda host, port: ["127.0.0.99", "127.0.0.1"]).send(alarm(1))
    assert len(receiver.calls) == 1


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://alarms.example/hook", "use https"),
        ("ftp://alarms.example/hook", "write https"),
        ("https:///hook", "write https"),
        ("alarms.example/hook", "write https"),
        ("https://alarms.example:99999/hook", "write https"),
        ("https://[::1/hook", "write https"),
        ("https://" + "a" * 70 + ".example/hook", "write https"),
        ("https://user:pa55word@alarms.example/hook", "leave user and password out"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_at_the_start(tmp_path: Path, url: str, why: str) -> None:
    with pytest.raises(SettingsError, match=why) as refused:
        webhook(url, tmp_path, allow_private=False)
    assert "pa55word" not in str(refused.value)


def test_names_tell_receivers_apart_and_keep_tokens_to_themselves(tmp_path: Path) -> None:
    first = webhook("https://alarms.example/T0KEN/hook?sig=T0KEN", tmp_path)
    second = webhook("https://alarms.example/OTHER/hook?sig=T0KEN", tmp_path)
    assert first.name != second.name
    assert first.name.startswith("webhook:alarms.example:443#")
    assert "T0KEN" not in first.name + repr(first) and SECRET.decode() not in repr(first)


def test_a_secret_is_read_without_its_newline(tmp_path: Path) -> None:
    assert read_secret(secret_file(tmp_path)) == SECRET


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [(None, 0, "is no file"), (b"\n", 0o600, "is empty"), (b"key", 0o604, "chmod 600"), (b"k" * 5000, 0o600, "longer")],
)
def test_a_secret_that_cannot_be_used_is_refused(tmp_path: Path, content: bytes | None, mode: int, why: str) -> None:
    file = tmp_path / "key"
    if content is not None:
        file.write_bytes(content)
        file.chmod(mode)
    with pytest.raises(SettingsError, match=why):
        read_secret(file)
    with pytest.raises(SettingsError, match="is no file"):
        read_secret(tmp_path)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the test's certificate, is not installed")
    folder = tmp_path_factory.mktemp("tls")
    subprocess.run(
        [
            *["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"],
            *["-days", "2", "-subj", "/CN=alarms.example", "-addext", "subjectAltName=DNS:alarms.example"],
            *["-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem")],
        ],
        check=True,
        capture_output=True,
    )
    return folder


def test_https_checks_the_certificate_against_the_name_not_the_address(
    tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    with AlarmReceiver(tls=tls) as receiver:

        def to(name: str) -> Webhook:
            return webhook(f"https://{name}:{receiver.port}/", tmp_path, resolve=lambda host, port: ["127.0.0.1"])

        with pytest.raises(DeliveryFailed, match="CERTIFICATE_VERIFY_FAILED"):
            to("alarms.example").send(alarm(1))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate / "cert.pem"))
        with pytest.raises(DeliveryFailed, match=r"CERTIFICATE_VERIFY_FAILED.*Hostname"):
            to("other.example").send(alarm(1))
        to("alarms.example").send(alarm(1))
    assert [call.genuine for call in receiver.calls] == [True]


def test_a_tls_handshake_that_never_ends_is_left_in_time(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        started = time.monotonic()
        with pytest.raises(DeliveryFailed, match="no answer within"):
            webhook(f"https://127.0.0.1:{silent.getsockname()[1]}/", tmp_path, timeout_s=0.3).send(alarm(1))
        assert time.monotonic() - started < 1.5
