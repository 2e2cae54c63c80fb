"""Everything else through Apprise (`pip install "cellvigil[apprise]"`): Slack, Teams, Telegram and many more.

The addresses hold tokens, so they lie in a file of their own that nobody else can read, one a line.
"""

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from monitor.errors import SettingsError
from services.delivery.receiver import DeliveryFailed, Notice
from services.delivery.webhook import read_secret
from services.delivery.words import subject_of, text_of


@dataclass(frozen=True, slots=True)
class Apprise:
    """All addresses of one file as one receiver; make it with `of`."""

    name: str
    service: Any = field(repr=False)
    grouped: bool = True

    @classmethod
    def of(cls, file: Path) -> Self:
        """Read the addresses.

        Raises
        ------
        SettingsError
            Apprise is not installed, the file cannot be used, or an address is none.
        """
        try:
            import apprise
        except ImportError as error:
            message = 'notifier.apprise_file needs Apprise: pip install "cellvigil[apprise]"'
            raise SettingsError(message, reason="apprise") from error
        text = read_secret(file, "apprise file").decode("utf-8", "replace")
        addresses = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
        service = apprise.Apprise()
        for number, address in enumerate(addresses, start=1):
            if not service.add(address):
                raise SettingsError(f"{file}: address {number} is none that Apprise knows", reason="apprise")
        if not addresses:
            raise SettingsError(f"{file} holds no address; write one a line", reason="apprise")
        mark = hashlib.sha256("\n".join(addresses).encode()).hexdigest()[:8]
        return cls(f"apprise:{len(addresses)}#{mark}", service)

    def send(self, event: Notice) -> None:
        """Notify every address; raise `DeliveryFailed` when one of them did not take it."""
        if not self.service.notify(title=subject_of(event), body=text_of(event)):
            raise DeliveryFailed("an address of Apprise did not take it; its log says which")
