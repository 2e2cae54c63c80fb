"""What an operator's action does to an alarm, and how it is said."""

from monitor.culture.alarms import Alarm, Evidence
from monitor.messages import AlarmChanged, OperatorActed, OperatorAction

SAID = {
    OperatorAction.ACKNOWLEDGE: "acknowledged",
    OperatorAction.SHELVE: "shelved",
    OperatorAction.UNSHELVE: "taken back from the shelf",
    OperatorAction.OUT_OF_SERVICE: "taken out of service",
    OperatorAction.IN_SERVICE: "brought back into service",
}


def act(alarm: Alarm, acted: OperatorActed, evidence: Evidence) -> list[AlarmChanged]:
    """Do to an alarm what an operator wants; return what people should hear of, nothing where it has no effect."""
    match acted.action:
        case OperatorAction.ACKNOWLEDGE:
            return alarm.acknowledge(evidence)
        case OperatorAction.SHELVE:
            assert acted.until is not None
            return alarm.shelve(evidence, acted.until)
        case OperatorAction.UNSHELVE:
            return alarm.unshelve(evidence)
        case OperatorAction.OUT_OF_SERVICE:
            return alarm.take_out(evidence)
        case OperatorAction.IN_SERVICE:
            return alarm.bring_back(evidence)


def said(acted: OperatorActed) -> str:
    """Return who did what, until when and why, in words."""
    until = f" until {acted.until:%Y-%m-%d %H:%M} UTC" if acted.until else ""
    return f"{SAID[acted.action]} by {acted.by}{until}" + (f": {acted.why}" if acted.why else "")
