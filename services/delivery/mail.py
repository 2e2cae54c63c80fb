"""Mails over SMTP (RFC 5321), with the certificate of the server checked.

The Message-ID is made of the change's id: should this process die between the server's answer and the note of it, the
same mail goes out again under the same id.
"""

import smtplib
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import SMTP
from typing import Self

from monitor.errors import SettingsError
from services.delivery.address import is_loopback
from services.delivery.receiver import DeliveryFailed, Notice, notice_id
from services.delivery.webhook import SHOWN_MOST, read_secret
from services.delivery.words import subject_of, text_of
from services.settings import MailSettings
from services.telemetry import get_log, printable


@dataclass(frozen=True, slots=True)
class Mail:
    """One server and its recipients; make it with `of`, which checks the settings."""

    settings: MailSettings = field(repr=False)
    password: str | None = field(repr=False)

    @classmethod
    def of(cls, settings: MailSettings) -> Self:
        """Check the settings and read the password.

        Raises
        ------
        SettingsError
            A password would travel unprotected, user and password do not come together, or its file cannot be used.
        """
        shown = f"mail by {settings.host}:{settings.port}"
        if settings.security == "none" and not is_loopback(settings.host):
            raise SettingsError(f"{shown}: use starttls or tls; none is for this machine", reason="mail")
        if (settings.user is None) != (settings.password_file is None):
            raise SettingsError(f"{shown}: user and password_file go together", reason="mail")
        if any("\n" in text or "\r" in text or "@" not in text for text in (settings.sender, *settings.recipients)):
            raise SettingsError(f"{shown}: sender and recipients are addresses such as lab@example.org", reason="mail")
        file = settings.password_file
        return cls(settings, None if file is None else read_secret(file, "mail password").decode())

    @property
    def name(self) -> str:
        """Server and recipients."""
        return f"mail:{self.settings.host}:{self.settings.port}>{','.join(self.settings.recipients)}"

    @property
    def grouped(self) -> bool:
        """People are called by it."""
        return True

    def send(self, event: Notice) -> None:
        """Send one mail; return when the server has taken it for every recipient, else raise `DeliveryFailed`."""
        try:
            with self._connect() as server:
                refused = server.send_message(self._mail(event))
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            told = f"{self.settings.host} does not take mail for {', '.join(error.recipients)}: {codes}"
            raise DeliveryFailed(printable(told)[:SHOWN_MOST], refused=all(code >= 500 for code in codes)) from error
        except smtplib.SMTPResponseException as error:
            said = (
                error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
            )
            told = f"{self.settings.host} answers {error.smtp_code}: {said}"
            raise DeliveryFailed(printable(told)[:SHOWN_MOST], refused=error.smtp_code >= 500) from error
        except (OSError, smtplib.SMTPException) as error:
            told = f"{self.settings.host}: {type(error).__name__}: {error}"
            raise DeliveryFailed(printable(told)[:SHOWN_MOST]) from error
        if refused:  # the others have it: sending again would double it for them
            get_log("notifier").warning("recipients_refused", receiver=self.name, refused=list(refused))

    def _connect(self) -> smtplib.SMTP:
        chosen = self.settings
        if chosen.security == "tls":
            server: smtplib.SMTP = smtplib.SMTP_SSL(
                chosen.host, chosen.port, timeout=chosen.timeout_s, context=ssl.create_default_context()
            )
        else:
            server = smtplib.SMTP(chosen.host, chosen.port, timeout=chosen.timeout_s)
        try:
            if chosen.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            if chosen.user is not None and self.password is not None:
                server.login(chosen.user, self.password)
        except BaseException:
            server.close()
            raise
        return server

    def _mail(self, notice: Notice) -> EmailMessage:
        mail = EmailMessage(policy=SMTP)
        mail["Subject"] = subject_of(notice)
        mail["From"] = self.settings.sender
        mail["To"] = ", ".join(self.settings.recipients)
        mail["Message-ID"] = f"<{notice_id(notice)}@cellvigil>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(text_of(notice))
        return mail
