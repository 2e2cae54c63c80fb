import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from alarm_receiver import alarm
from mail_server import MailServer

from monitor.errors import SettingsError
from monitor.messages import AlarmsGrouped, AlarmState
from services.delivery.mail import Mail
from services.delivery.receiver import DeliveryFailed
from services.delivery.words import subject_of, text_of
from services.settings import MailSettings


def mail_by(server: MailServer, **more: Any) -> Mail:
    values = {"security": "none", "sender": "cellvigil@lab.example", "recipients": ("night@lab.example",)}
    return Mail.of(MailSettings(host="127.0.0.1", port=server.port, timeout_s=5.0, **(values | more)))


def password_file(folder: Path) -> Path:
    file = folder / "password"
    file.write_text("opensesame\n")
    file.chmod(0o600)
    return file


def test_a_mail_says_what_to_do_and_by_when(tmp_path: Path) -> None:
    event = alarm(1, consequence="the batch is lost", respond_by=alarm(9).at)
    with MailServer() as server:
        mail_by(server, recipients=("a@lab.example", "b@lab.example")).send(event)
    ((recipients, mail),) = server.mails
    assert recipients == ["a@lab.example", "b@lab.example"]
    assert mail["Subject"] == "[cellvigil] A1: potency raised (high)"
    assert mail["Message-ID"] == "<event-001@cellvigil>"
    body = mail.get_content()
    for part in (
        event.cause,
        "if nothing is done: the batch is lost",
        "look at the flask, by 2026-03-10 14:15 UTC",
    ):
        assert part in body


def test_a_group_lists_everything_urgent_first() -> None:
    events = [alarm(number, flask=f"F{number}", priority="low" if number else "high") for number in range(3)]
    group = AlarmsGrouped(group_id="g1", changes=(*events[1:], events[0], alarm(5, AlarmState.CLEARED)))
    with MailServer() as server:
        mail_by(server).send(group)
    ((_, mail),) = server.mails
    assert mail["Subject"] == "[cellvigil] 4 changes, 3 alarms raised, up to high"
    assert [line.split(":")[0] for line in mail.get_content().splitlines() if " at 2026" in line] == [
        "F0", "F1", "F2", "A1",
    ]  # fmt: skip


def test_names_cannot_forge_headers_or_lines() -> None:
    event = alarm(1, flask="A1\r\nBcc: all@lab.example", cause="fine\r\n.\r\nQUIT")
    with MailServer() as server:
        mail_by(server).send(event)
    ((recipients, mail),) = server.mails
    assert recipients == ["night@lab.example"]
    assert mail["Bcc"] is None
    assert "\n" not in subject_of(event)
    assert "fine\\r\\n.\\r\\nQUIT" in text_of(event)


def test_a_password_goes_with_the_mail(tmp_path: Path) -> None:
    with MailServer() as server:
        mail_by(server, user="lab", password_file=password_file(tmp_path)).send(alarm(1))
    assert server.users == ["lab"]


@pytest.mark.parametrize(
    ("command", "answer", "refused"),
    [
        ("RCPT", "550 no such user", True),
        ("RCPT", "450 try later", False),
        ("MAIL", "554 no", True),
        ("MAIL", "421 busy", False),
        ("DATA", "451 later", False),
    ],
)
def test_what_the_server_answers_decides_whether_trying_again_helps(command: str, answer: str, refused: bool) -> None:
    with MailServer(answers={command: [answer]}) as server, pytest.raises(DeliveryFailed) as failed:
        mail_by(server).send(alarm(1))
    assert failed.value.refused is refused
    assert answer.split()[0] in str(failed.value)
    assert server.mails == []


def test_a_server_that_is_away_is_tried_again() -> None:
    with MailServer() as server:
        mail = mail_by(server)
    with pytest.raises(DeliveryFailed) as failed:
        mail.send(alarm(1))
    assert not failed.value.refused


def test_starttls_checks_the_servers_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the test's certificate, is not installed")
    made = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days"]
    made += ["2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*made, "-keyout", "key.pem", "-out", "cert.pem"], cwd=tmp_path, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")
    values: dict[str, Any] = {"sender": "a@b", "recipients": ("c@d",), "timeout_s": 5.0}
    with MailServer(tls=tls) as server:
        mail = Mail.of(MailSettings(host="localhost", port=server.port, **values))
        with pytest.raises(DeliveryFailed, match="certificate"):
            mail.send(alarm(1))
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert.pem"))
        mail.send(alarm(1))
    assert server.encrypted == [True]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"host": "mail.example", "security": "none"}, "use starttls or tls"),
        ({"user": "lab"}, "go together"),
        ({"sender": "lab"}, "addresses such as"),
        ({"recipients": ("a@b\nBcc: c@d",)}, "addresses such as"),
        ({"user": "lab", "password_file": Path("none")}, "mail password none is no file"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(wrong: dict[str, Any], said: str) -> None:
    values: dict[str, Any] = {"host": "127.0.0.1", "security": "none", "sender": "a@b", "recipients": ("c@d",)}
    with pytest.raises(SettingsError, match=said):
        Mail.of(MailSettings(**(values | wrong)))
