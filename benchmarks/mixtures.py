"""Weighted means of two sets of weights, scored on the fields that are there to choose by; none of them is held out.

    python benchmarks/mixtures.py --phase FOLDER --brightfield FOLDER --simulated SEED [SEED ...] --shares 0 0.15 0.3
        [--first CARD] [--second laboratories]

A share is that of the first set (the default weights). Folders are those of `train_laboratories.py`, of whose fields
every fifth and every sixth are scored; simulated frames are of seeds that nobody trained on. Decode as in the second
card, without the confidence filter. Numbers are means over fields of AP50 and F1.
"""

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fields import instances
from numpy.typing import NDArray
from PIL import Image
from train_laboratories import HELD_OUT, LEAST_NUCLEUS_PX, PHASE_UM, SCALES_UM

from monitor.frames.frame import Frame
from monitor.network.checkpoint import SHIPPED, ModelCard, card_file, load_network, save_network
from monitor.segmentation.segmenter import Segmentation, Segmenter, load_segmenter
from monitor.synthetic.laboratories import scene_of
from monitor.training.metrics import match_instances, score

EVERY_PHASE, EVERY_BRIGHTFIELD = 5, 6
LEAST_CELLS = 3


@dataclass(frozen=True, slots=True)
class Truth:
    """A field and what is known of it; cells or nuclei None where nobody labelled them."""

    frame: Frame
    cells: NDArray[np.int32] | None
    nuclei: NDArray[np.int32] | None


def phase(folder: Path) -> Iterator[Truth]:
    """Yield every fifth phase-contrast field that is not held out."""
    images = [image for image in sorted(folder.glob("set*_phase.png")) if not image.name.startswith(HELD_OUT)]
    for image in images[::EVERY_PHASE]:
        labels = np.array(Image.open(image.with_name(image.name.replace("_phase", "_instances")))).astype(np.int32)
        yield Truth(Frame(np.array(Image.open(image)), PHASE_UM), labels, None)


def brightfield(folder: Path) -> Iterator[Truth]:
    """Yield every sixth brightfield field that is not held out, with nuclei about 12 um wide."""
    images = [image for image in sorted(folder.glob("*/image/*.png")) if not image.name.startswith(HELD_OUT)]
    for image in images[::EVERY_BRIGHTFIELD]:
        mask = np.array(Image.open(image.parents[1] / "nuclei" / image.name)) > 0
        frame = Frame(np.array(Image.open(image)), SCALES_UM[image.name[:10]][0])
        yield Truth(frame, None, instances(mask, LEAST_NUCLEUS_PX))


def simulated(seeds: list[int]) -> Iterator[Truth]:
    """Yield simulated frames in which enough can be seen."""
    for scene in map(scene_of, seeds):
        if scene.cells.max(initial=0) >= LEAST_CELLS:
            yield Truth(Frame(scene.pixels, scene.pixel_size_um), scene.cells, scene.nuclei)


def scores(segmenter: Segmenter, fields: list[Truth], what: str) -> str:
    """Return mean AP50 and F1 over fields that have a truth of that kind."""
    found = []
    for field in fields:
        truth = getattr(field, what)
        if truth is not None:
            (masks,) = segmenter.segment([field.frame])
            labels = getattr(masks, what) if isinstance(masks, Segmentation) else np.zeros_like(truth)
            found.append(score([match_instances(truth, labels)]))
    return f"{np.mean([one.ap50 for one in found]):.3f} / {np.mean([one.f1 for one in found]):.3f}" if found else "-"


def mixed(first: Path, second: Path, share: float, folder: Path) -> Path:
    """Write `share` of the first set of weights plus the rest of the second with the second's card; return its file."""
    one, other = (load_network(card)[0].state_dict() for card in (first, second))
    card: ModelCard = load_network(second)[1]
    state = {
        name: value.lerp(one[name], share) if value.is_floating_point() else value for name, value in other.items()
    }
    told = card.model_dump(exclude={"weights", "sha256"}) | {
        "decode": card.decode.model_copy(update={"confidence": None})
    }
    save_network(state, told, folder / "mixed.json")
    return folder / "mixed.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--phase", type=Path)
    parser.add_argument("--brightfield", type=Path)
    parser.add_argument("--simulated", type=int, nargs="*", default=[])
    parser.add_argument("--shares", type=float, nargs="+", required=True)
    parser.add_argument("--first", type=Path, default=SHIPPED)
    parser.add_argument("--second", type=Path, default=Path("laboratories"))
    args = parser.parse_args()
    first, second = card_file(args.first), card_file(args.second)
    kinds = {
        "phase": list(phase(args.phase)) if args.phase else [],
        "brightfield": list(brightfield(args.brightfield)) if args.brightfield else [],
        "simulated": list(simulated(args.simulated)),
    }
    for share in args.shares:
        with tempfile.TemporaryDirectory() as folder:
            segmenter = load_segmenter(mixed(first, second, share, Path(folder)))
            for kind, fields in kinds.items():
                for what in ("cells", "nuclei"):
                    print(f"{share:4.2f}  {kind:11} {what:6}  {scores(segmenter, fields, what)}", flush=True)


if __name__ == "__main__":
    main()
