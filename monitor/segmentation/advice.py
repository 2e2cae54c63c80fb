"""Why a frame is not to be relied on, and what helps; in the words that somebody at the microscope needs."""

from typing import Final, Literal

from monitor.messages import FrameQuality

Reason = Literal["saturated", "out_of_focus", "not_understood", "debris", "empty", "merged"]

WHAT_HELPS: Final[dict[Reason, str]] = {
    "saturated": "pixels lie at the ends of the camera's range: less light or a shorter exposure",
    "out_of_focus": "fine detail is gone: focus again, or wipe condensation off",
    "not_understood": "the network has not learnt images like this one, unless it is no sharp phase contrast: "
    "outline 5 to 20 fields of your own and fine-tune with `cellvigil train segmenter FOLDER --out DIR`",
    "debris": "floating cells and debris cover the ground: change the medium, or look at a field without",
    "empty": "no cell was found: is this the right field, and are there cells in it?",
    "merged": "many outlines are likely several cells: the field is too dense to tell them apart",
}
"""One sentence for each reason that `quality` gives."""


def warning(quality: FrameQuality) -> str:
    """Return what follows a frame's counts where they are not to be relied on: why, and what helps; else nothing."""
    if quality.passes:
        return ""
    help_ = next((words for reason, words in WHAT_HELPS.items() if reason == quality.reason), "")
    doubt = f" (doubt {quality.doubt:.2f})" if quality.reason == "not_understood" else ""
    return f"; NOT TO BE RELIED ON: {quality.reason}{doubt}{f': {help_}' if help_ else ''}"
