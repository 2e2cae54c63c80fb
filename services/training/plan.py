"""What to train: the options of the command, and which images are kept for the scores."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from monitor.errors import SettingsError
from monitor.network.checkpoint import SHIPPED
from monitor.training.sources import LabelledImage
from services.training.stained import StainedView

Named = TypeVar("Named", LabelledImage, StainedView)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """What to train.

    folders: labelled images; stain_pairs: folder of images with a nuclear stain; unlabelled: folder of image series;
    pixel_size_um: for those that do not say it; hold_back: names that contain one of these are never trained on, None
    takes every sixth image; weights: card to start from, None for a new network; width: of a new network; simulated:
    number of simulated frames in the mix; minutes: of this part of the run.
    """

    folders: tuple[Path, ...]
    out: Path
    stain_pairs: Path | None = None
    unlabelled: Path | None = None
    pixel_size_um: float | None = None
    hold_back: tuple[str, ...] | None = None
    weights: Path | None = SHIPPED
    width: float = 0.5
    simulated: int = 100
    steps: int | None = None
    minutes: float | None = None
    learning_rate: float | None = None
    seed: int = 0
    most: int | None = None
    licence: str = "as the images; ask their owner"

    def check(self) -> None:
        """Raise SettingsError when the parts do not go together."""
        if not self.folders and self.stain_pairs is None:
            message = "nothing to learn from; name a folder of labelled images, or --stain-pairs"
            raise SettingsError(message, reason="no_labels")
        if self.unlabelled is not None and (self.weights is None or not self.folders):
            message = (
                "--unlabelled needs weights to teach with and labelled images to judge by; leave out --from-scratch "
                "and name a folder of labelled images"
            )
            raise SettingsError(message, reason="no_teacher")


def split(images: Sequence[Named], hold_back: tuple[str, ...] | None) -> tuple[list[Named], list[Named]]:
    """Return images to learn from and images to be scored on, told apart by name.

    Raises
    ------
    SettingsError
        `hold_back` when nothing is left to learn from.
    """
    if hold_back is None:
        kept = {image.name for image in images[3::6]}
    else:
        kept = {image.name for image in images if any(part in image.name for part in hold_back)}
    learnt = [image for image in images if image.name not in kept]
    if images and not learnt:
        raise SettingsError("every image is held back; label more, or hold back fewer", reason="hold_back")
    return learnt, [image for image in images if image.name in kept]
