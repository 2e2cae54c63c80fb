import json
import sys
from pathlib import Path

import pytest
from alarm_receiver import AlarmReceiver, alarm

from monitor.errors import SettingsError
from services.delivery.apprise import Apprise
from services.delivery.receiver import DeliveryFailed


def addresses(folder: Path, text: str) -> Path:
    file = folder / "apprise.txt"
    file.write_text(text)
    file.chmod(0o600)
    return file


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of Apprise itself
def test_what_apprise_reaches_is_told(tmp_path: Path) -> None:
    pytest.importorskip("apprise", reason="the optional extra is not installed")
    with AlarmReceiver() as receiver:
        told = Apprise.of(addresses(tmp_path, f"# pager\njson://127.0.0.1:{receiver.port}/\n"))
        told.send(alarm(1))
        receiver.usually = 500
        with pytest.raises(DeliveryFailed):
            told.send(alarm(2))
    assert "potency raised" in json.loads(receiver.calls[0].body)["title"]
    assert "127.0.0.1" not in told.name
    with pytest.raises(SettingsError, match="address 1 is none"):
        Apprise.of(addresses(tmp_path, "nonsense"))
    with pytest.raises(SettingsError, match="holds no address"):
        Apprise.of(addresses(tmp_path, "# nothing\n"))


def test_without_the_extra_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(SettingsError, match=r"cellvigil\[apprise\]"):
        Apprise.of(addresses(tmp_path, "json://127.0.0.1/"))
