"""Which potency model made the estimates of a flask, and what it calls its biomarkers."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path

from monitor.errors import ModelRefused, SettingsError
from monitor.potency.biomarker import BiomarkerSpec
from monitor.potency.bundle import Bundle, read_bundle, verify_bundle
from monitor.potency.model import DEMO, PotencyModel, load_model


class UnknownBiomarker(SettingsError):
    """The model of a flask has no such biomarker."""


class KnownModel:
    """A verified model folder; its trees are opened, after a rehearsal, only when they are asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.digest = verify_bundle(folder)
        self.bundle: Bundle = read_bundle(folder)

    @cached_property
    def opened(self) -> PotencyModel:
        """The model itself."""
        return load_model(self.folder)

    @property
    def live(self) -> str | None:
        """The biomarker that the monitor shows as the potency of a frame: the index, or the only one."""
        specs = self.bundle.spec.biomarkers
        chosen = [spec for spec in specs if spec.index is not None] or list(specs)
        return chosen[0].name if len(chosen) == 1 else None

    def nominal(self, biomarker: str) -> float:
        """Return the coverage that intervals of a biomarker promise."""
        return self.bundle.calibration.intervals[biomarker].coverage

    def biomarker(self, name: str) -> BiomarkerSpec:
        """Return a biomarker that is measured, by its name.

        Raises
        ------
        SettingsError
            `biomarker`, with the mend.
        """
        specs = {spec.name: spec for spec in self.bundle.spec.biomarkers}
        if name not in specs:
            folded = {known.casefold(): known for known in specs}
            near = get_close_matches(name.casefold(), folded, 1, 0.5)
            guess = f"; did you mean {folded[near[0]]!r}?" if near else ""
            message = f"the potency model of this flask knows no biomarker {name!r}, it has {', '.join(specs)}{guess}"
            raise UnknownBiomarker(message, reason="biomarker")
        if specs[name].kind != "regressor":
            message = (
                f"the potency model tells classes of {name!r} apart and has no interval that a result could lie in; "
                "results of classes are not recorded here, judge them with `cellvigil train potency`"
            )
            raise SettingsError(message, reason="biomarker")
        return specs[name]


class KnownModels:
    """Model folders by the digest that estimates carry.

    Parameters
    ----------
    given
        Named by the user; the only ones that have to be there.
    configured
        The folder of the settings, or None for the demonstration model; it may have gone.
    """

    def __init__(self, given: Iterable[Path], configured: Path | None) -> None:
        self._models = [KnownModel(folder) for folder in given]
        self._refusals: list[str] = []
        self._others = [folder for folder in (configured, DEMO) if folder is not None]

    def of(self, digest: str, flask: str) -> KnownModel:
        """Return the model with a digest.

        Raises
        ------
        SettingsError
            `model` when none of the folders holds it.
        """
        for model in self._models:
            if model.digest == digest:
                return model
        while self._others:
            folder = self._others.pop(0)
            try:
                model = KnownModel(folder)
            except ModelRefused as refused:
                self._refusals.append(str(refused))
                continue
            self._models.append(model)
            if model.digest == digest:
                return model
        message = (
            f"the frames of flask {flask!r} were judged by the potency model {digest[:12]}, which is not the one that "
            "is configured now; name its folder with --model"
        )
        message = "; ".join([message, *self._refusals])
        raise SettingsError(message, reason="model")
