"""Options that several commands share, and what they stand for. Heavy imports wait inside."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class EngineName(StrEnum):
    """Engines to choose from; a test holds them against `monitor.engine.choice.ENGINES`."""

    EAGER = "eager"
    COMPILED = "compiled"
    TENSORRT = "tensorrt"
    OPENVINO = "openvino"
    OPENVINO_BF16 = "openvino-bf16"
    OPENVINO_INT8 = "openvino-int8"


Config = Annotated[Path | None, typer.Option("--config", help="YAML file with settings; see configs/default.yaml.")]
State = Annotated[Path | None, typer.Option("--state", help="Folder that holds everything a run keeps. [state]")]
Weights = Annotated[Path | None, typer.Option("--weights", help="Other weights: a model card, or `laboratories`.")]
Tta = Annotated[bool, typer.Option("--tta", help="Average over eight mirrored and turned copies; eight times as long.")]
Engine = Annotated[EngineName, typer.Option("--engine", help="What runs the network.")]
Threads = Annotated[int | None, typer.Option("--threads", help="Of the processor; default: torch's own count.")]
Watch = Annotated[Path | None, typer.Option("--watch", help="Folder that the microscope writes to.")]
PixelSize = Annotated[
    float | None, typer.Option("--pixel-size", min=0.01, max=50.0, help="Micrometres per pixel, where files lack it.")
]


def engine_store(state: Path | None) -> Any:  # noqa: ANN401 (EngineStore, whose import is heavy)
    """Return the store of built engines of a state folder."""
    from monitor.engine.store import EngineStore

    return EngineStore(engine_folder(state))


def engine_folder(state: Path | None) -> Path:
    """Return where a state folder keeps built engines."""
    from services.state_folder import StateFolder

    return StateFolder(state_folder(state)).engines


def state_folder(state: Path | None) -> Path:
    """Return the state folder that is meant: `state` where none is named."""
    return state or Path("state")


def settings_from(
    config: Path | None, state: Path | None, watch: Path | None, pixel_size: float | None, layout: str | None
) -> Any:  # noqa: ANN401 (Settings, whose import is heavy)
    """Return the settings of a file with what was said on the command line over them."""
    from services.settings import load_settings

    given: dict[str, Any] = {"folder": watch, "pixel_size_um": pixel_size, "layout": layout}
    overrides: dict[str, Any] = {"watch": {name: value for name, value in given.items() if value is not None}}
    if state is not None:
        overrides["state"] = state
    return load_settings(config, overrides)
