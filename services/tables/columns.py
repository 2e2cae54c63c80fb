"""What stands in the tables: name, unit, meaning and source of every column."""

from dataclasses import dataclass

from monitor.features.catalogue import CELL, POPULATION, Feature
from monitor.features.growth import GROWTH
from monitor.features.motility import MOTILITY, MOTION


@dataclass(frozen=True, slots=True)
class Column:
    """One column: unit is 1 for a pure number and empty for what has none.

    kind: text, whole, number, truth, or time, which only the tables of a run have; files hold times as text.
    """

    name: str
    kind: str
    unit: str
    definition: str
    source: str


def _measured(features: tuple[Feature, ...]) -> tuple[Column, ...]:
    return tuple(Column(f.name, "number", f.unit, f.definition, f.source) for f in features)


def _text(name: str, definition: str, source: str = "layout") -> Column:
    return Column(name, "text", "", definition, source)


_FLASK = _text("flask", "flask, or well, by the name of the file")
_KEY = (
    _text("source", "path of the image as given", "command line"),
    _FLASK,
    _text("position", "field of view in the flask, by the name of the file"),
    _text("channel", "channel by the name of the file"),
    _text("time_point", "time label in the name of the file"),
    _text("acquired_at", "time of the frame, UTC, ISO 8601", "name or metadata of the file"),
    Column("series_hours", "number", "h", "time since the first frame of the flask", "acquired_at, or --interval"),
)
_SAMPLE = (
    _text("donor", "donor of the cells", "samples.csv"),
    Column("passage", "whole", "1", "passage of the cells", "samples.csv"),
    _text("lot", "lot of the cells", "samples.csv"),
    _text("stimulation", "what the cells were stimulated with", "samples.csv"),
    _text("medium", "culture medium", "samples.csv"),
    Column("hours_since_seeding", "number", "h", "time of the frame since seeding", "samples.csv, acquired_at"),
)
_OF_FLASK = tuple(column for column in _SAMPLE if column.name != "hours_since_seeding")

CELLS = (
    *_KEY,
    Column("cell", "whole", "1", "id of the cell in the label image", "label image"),
    Column("centroid_y_um", "number", "um", "centroid, downwards from the middle of the first pixel", "label image"),
    Column("centroid_x_um", "number", "um", "centroid, rightwards from the middle of the first pixel", "label image"),
    Column("touches_border", "truth", "", "whether the border of the frame cuts the cell", "label image"),
    Column("track", "whole", "1", "number of the cell's track in its flask and position", "tracks"),
    Column("mother_track", "whole", "1", "track of the cell that divided into this one and another", "tracks"),
    *_measured(MOTION),
    *_measured(CELL),
)
"""One row per cell; those at the border have rows and are left out of the statistics of a frame."""

_QUALITY = (
    _text("state", "ok, or why the frame should not be relied on", "segmentation/quality.py"),
    Column("focus", "number", "1", "sharpness, higher is sharper", "segmentation/quality.py"),
    Column("illumination", "number", "1", "relative unevenness of the background", "segmentation/quality.py"),
    Column(
        "saturated_fraction", "number", "1", "share of pixels at the limits of the camera", "segmentation/quality.py"
    ),
    Column("doubt", "number", "1", "how undecided the network is, 0 decided to 1", "segmentation/quality.py"),
    Column("debris_fraction", "number", "1", "share of the ground covered by debris", "segmentation/quality.py"),
    Column("cut_fraction", "number", "1", "share of the cells that the border cuts", "segmentation/quality.py"),
    Column("merged_fraction", "number", "1", "share of the cells that are likely several", "segmentation/quality.py"),
)
_MADE_BY = (
    _text("masks", "weights and engine that segmented the frame, or the folder of its label images", "command line"),
    _text("code_version", "version of cellvigil", "cellvigil"),
)

FRAMES = (
    *_KEY,
    *_SAMPLE,
    *_QUALITY,
    Column("pixel_size_um", "number", "um", "side of a pixel", "file, or --pixel-size"),
    Column("n_cells", "whole", "1", "cells, those at the border included", "label image"),
    Column("n_nuclei", "whole", "1", "nuclei", "label image"),
    *_measured(POPULATION),
    *_MADE_BY,
)
"""One row per frame."""

FLASKS = (
    _FLASK,
    *_OF_FLASK,
    Column("positions", "whole", "1", "positions with a frame", "tables"),
    Column("frames", "whole", "1", "frames measured", "tables"),
    Column(
        "frames_used",
        "whole",
        "1",
        "of these the ones whose state is ok, which alone say how the flask grows",
        "tables",
    ),
    _text("first_at", "time of the first frame, UTC, ISO 8601", "tables"),
    _text("last_at", "time of the last frame, UTC, ISO 8601", "tables"),
    Column("series_hours", "number", "h", "from the first frame to the last", "tables"),
    *_measured(GROWTH),
    *_measured(MOTILITY),
    *(
        Column(f.name, "number", f.unit, f"median over the frames used of: {f.definition}", f.source)
        for f in POPULATION
    ),
)
"""One row per flask."""

TABLES = {"cells": CELLS, "frames": FRAMES, "flasks": FLASKS}
