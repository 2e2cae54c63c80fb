"""The command: read, segment or look masks up, measure everything, write the tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track

import monitor
from monitor.errors import CellvigilError, SettingsError
from monitor.features.catalogue import FAMILIES
from monitor.features.featurizer import FrameFeatures, measure
from monitor.frames.frame import Frame
from monitor.frames.reader import ReadLimits, read_frame
from monitor.frames.sample import Sample
from monitor.frames.samples import read_samples
from monitor.segmentation.advice import warning
from services.tables.columns import TABLES
from services.tables.files import Table, Value, describe, load_pyarrow, open_table
from services.tables.flasks import Flask, hours_since_seeding
from services.tables.masks import Masking, Masks, by_segmenter, from_folder
from services.tables.rows import cell_rows, sample_columns
from services.tables.sources import Source, find_sources

GATE_UM = 30.0
NO_FLASKS = (
    "no flasks.csv: no name says flask, position and time; `cellvigil layout check` shows what names say, "
    "--layout gives another scheme"
)


@dataclass(frozen=True, slots=True)
class TablePlan:
    """What the command asks for, as its options say it."""

    given: tuple[Path, ...]
    out: Path
    labels: Path | None = None
    pixel_size_um: float | None = None
    samples: Path | None = None
    layout: str | None = None
    interval_s: float | None = None
    gate_um: float = GATE_UM
    parquet: bool = False
    weights: Path | None = None
    engine: str = "eager"


def write_tables(plan: TablePlan) -> int:
    """Write `cells`, `frames`, `columns` and, for series, `flasks`; return 1 when an image could not be measured.

    Raises
    ------
    SettingsError
        When samples, layout, `out` or the library for Parquet cannot be used: before anything is measured.
    """
    if plan.parquet:
        load_pyarrow()
    console = Console(stderr=True)
    samples = read_samples(plan.samples) if plan.samples else {}
    sources = find_sources(plan.given, plan.layout, plan.interval_s)
    if not sources:
        console.print(f"{', '.join(map(str, plan.given))}: no TIFF or PNG images there", markup=False, soft_wrap=True)
        return 1
    try:
        plan.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        message = f"{plan.out} cannot be written ({error.strerror}); choose another --out"
        raise SettingsError(message, reason="out") from error
    masking, made_by = _masking(plan, sources)
    series = _Series(plan, samples, sources)
    failed = 0
    with (
        open_table(plan.out, "cells", TABLES["cells"], parquet=plan.parquet) as cells,
        open_table(plan.out, "frames", TABLES["frames"], parquet=plan.parquet) as frames,
    ):
        for source in track(sources, "measuring", console=console, disable=not console.is_terminal):
            try:
                line = series.measure(source, masking, made_by, cells, frames)
            except CellvigilError as error:
                failed += 1
                line = str(error) if str(source.path) in str(error) else f"{source.path}: {error}"
            except FileNotFoundError:
                failed += 1
                line = f"{source.path}: there is no such file"
            console.print(line, markup=False, soft_wrap=True)
    written = ["cells", "frames", *series.write_flasks()]
    describe(plan.out, written)
    if "flasks" not in written and failed < len(sources):
        console.print(NO_FLASKS, markup=False, soft_wrap=True)
    return 1 if failed else 0


def _masking(plan: TablePlan, sources: Sequence[Source]) -> tuple[Masking, str]:
    """Return where masks come from, and how a row says so."""
    if plan.labels is not None:
        return from_folder(plan.labels, sources), str(plan.labels)
    from monitor.segmentation.segmenter import load_segmenter

    segmenter = load_segmenter(plan.weights, engine=plan.engine)
    return by_segmenter(segmenter), f"{segmenter.weights_digest[:12]} {segmenter.engine_name}"


class _Series:
    """The frames as they come, flask after flask."""

    def __init__(self, plan: TablePlan, samples: Mapping[str, Sample], sources: Sequence[Source]) -> None:
        self._plan = plan
        self._flasks: dict[str, Flask] = {}
        for source in sources:
            if source.key is not None:
                name = source.key.flask
                flask = self._flasks.setdefault(name, Flask(name, samples.get(name), plan.gate_um, None))
                if source.hours is not None:
                    flask.began = source.hours if flask.began is None else min(flask.began, source.hours)

    def measure(self, source: Source, masking: Masking, made_by: str, cells: Table, frames: Table) -> str:
        """Measure one image and add its rows; return a line about it."""
        if source.problem is not None:
            raise source.problem
        flask = self._flasks.get(source.key.flask) if source.key else None
        if flask is not None:
            flask.check(source)
        frame = read_frame(source.path, root=source.root, pixel_size_um=self._plan.pixel_size_um, limits=ReadLimits())
        masks = masking(source, frame)
        features = measure(frame, masks.cells, masks.nuclei, families=tuple(FAMILIES))
        motion = flask.take(source, features, passes=masks.quality.passes) if flask else {}
        key = _key_columns(source, flask)
        for row in cell_rows(masks.names.tolist(), features, motion):
            cells.add(key | row)
        frames.add(key | _frame_row(source, flask, frame, masks, features, made_by))
        covered = f"{100 * masks.quality.confluency:.0f} % covered"
        return f"{source.path}: {len(features.whole)} cells, {covered}{warning(masks.quality)}"

    def write_flasks(self) -> list[str]:
        """Write the table of flasks where names say them; return its name in a list, which is empty otherwise."""
        rows = [row for row in (flask.row() for flask in self._flasks.values()) if row is not None]
        if not rows:
            return []
        with open_table(self._plan.out, "flasks", TABLES["flasks"], parquet=self._plan.parquet) as table:
            for row in rows:
                table.add(row)
        return ["flasks"]


def _key_columns(source: Source, flask: Flask | None) -> dict[str, Value]:
    key = source.key
    began = flask.began if flask else None
    return {
        "source": str(source.path),
        "flask": key.flask if key else None,
        "position": key.position if key else None,
        "channel": key.channel if key else None,
        "time_point": key.time_point if key else None,
        "acquired_at": source.acquired_at.isoformat() if source.acquired_at else None,
        "series_hours": source.hours - began if source.hours is not None and began is not None else None,
    }


def _frame_row(
    source: Source, flask: Flask | None, frame: Frame, masks: Masks, features: FrameFeatures, made_by: str
) -> dict[str, Value]:
    quality = masks.quality
    sample = flask.sample if flask else None
    measured = {name: None if name in masks.unjudged else value for name, value in quality.model_dump().items()}
    return {
        **sample_columns(sample),
        "hours_since_seeding": hours_since_seeding(sample, source.acquired_at),
        **measured,
        "state": "ok" if quality.passes else quality.reason,
        "pixel_size_um": frame.pixel_size_um,
        "n_cells": len(features.whole),
        "n_nuclei": len(features.parents),
        **features.population,
        "masks": made_by,
        "code_version": monitor.__version__,
    }
