"""Whether the outlines of a frame can be relied on: the limits are the quality check's, the way back is here."""

from monitor.messages import FrameQuality
from monitor.segmentation.quality import QualitySettings

LIMITS = QualitySettings()
BACK_AT = 0.85
"""Part of each limit that a value must be back inside of before it counts as good again: the deadband."""


def unreadable(quality: FrameQuality, *, active: bool) -> str:
    """Return why the masks of a frame cannot be relied on, empty when they can; focus and light are for the optics.

    While the alarm is `active` the limits are narrower, so that a value that hovers does not make it flutter.
    """
    near = quality.passes and active
    doubt, debris, merged = (quality.reason == reason for reason in ("not_understood", "debris", "merged"))
    if doubt or (near and quality.doubt > BACK_AT * LIMITS.max_doubt):
        return f"the network cannot read the images: doubt {quality.doubt:.2f}; fine-tune it on fields like these"
    if debris or (near and quality.debris_fraction > BACK_AT * LIMITS.max_debris):
        return f"debris covers {100 * quality.debris_fraction:.0f} % of the ground; wash, or look at the culture"
    if merged or (near and quality.merged_fraction > BACK_AT * LIMITS.max_merged):
        return f"{100 * quality.merged_fraction:.0f} % of the cells are likely several in one; look at the overlay"
    return ""
