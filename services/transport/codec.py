"""Messages to bytes and back; a message that is not understood is told apart, never guessed."""

from pydantic import ValidationError

from monitor.errors import CellvigilError
from monitor.messages import ANY_MESSAGE, AnyMessage, Message


class UnknownMessage(CellvigilError):
    """The payload is of a kind or version that this program does not know; it is parked for one that does."""


def encode(message: Message) -> bytes:
    """Return the message as JSON."""
    return message.model_dump_json().encode()


def decode(payload: bytes) -> AnyMessage:
    """Return the message.

    Raises
    ------
    UnknownMessage
        The payload is not JSON, of an unknown kind, of another schema version or not as that version says.
    """
    try:
        return ANY_MESSAGE.validate_json(payload)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "payload"
        raise UnknownMessage(f"{where}: {first['msg']}", reason="unknown_version") from error
