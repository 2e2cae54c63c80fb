"""A run opened from Python: its tables as data frames, its frames and its label images. Nothing is written."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from monitor.errors import FrameRejected, SettingsError
from monitor.features.catalogue import FAMILIES
from monitor.features.featurizer import measure
from monitor.frames.frame import Frame
from monitor.frames.reader import ReadLimits
from monitor.messages import FrameArrived, FrameSegmented
from monitor.pipeline import Masks
from services.settings import settings_of
from services.state_folder import StateFolder, recorded_state
from services.store.ledger import Ledger
from services.store.record_sqlite import SqliteRecord
from services.store.results import result_rows
from services.tables import rows
from services.tables.columns import Column
from services.tables.data_frames import Library, data_frame, load_library
from services.tables.run_columns import RUN_TABLES
from services.transport.file_blobs import FileLabels
from services.workers.frame_files import FrameFiles

ABOUT_COLUMNS = [Column(name, "text", "", "", "") for name in ("table", "name", "unit", "definition", "source")]


def open_state(
    folder: str | os.PathLike[str], *, library: Library = "pandas", watch: str | os.PathLike[str] | None = None
) -> "OpenedRun":
    """Open what a run kept, to read it: beside the run or after it.

    Parameters
    ----------
    folder
        The folder that `cellvigil run` was given as `--state`.
    library
        What tables are made with: `pandas` or `polars`, each an extra of cellvigil.
    watch
        Where the frames lie, when not where the run found them; for `OpenedRun.frame` and `OpenedRun.cells`.

    Returns
    -------
    OpenedRun
        To be closed, by `with` or `close`; use it in the thread that opened it.

    Raises
    ------
    SettingsError
        Nothing ran in the folder (the message names it), or the library is not installed (`data_frames`, naming the
        extra).
    """
    load_library(library)
    return OpenedRun(recorded_state(Path(folder)), library, None if watch is None else Path(watch))


class OpenedRun:
    """The tables, frames and label images of a run; every call tells what is stored by then.

    Columns, their units and their meaning are told by `columns`.

    Parameters
    ----------
    state
        The state folder.
    library
        What tables are made with.
    watch
        Where the frames lie; None is where the run found them.
    """

    def __init__(self, state: StateFolder, library: Library, watch: Path | None = None) -> None:
        self._state = state
        self._library: Library = library
        self._watch = watch
        self._record = SqliteRecord(state.record, readonly=True)
        self._labels = FileLabels(state.masks)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the databases."""
        self._record.close()

    def flasks(self) -> list[str]:
        """Return the flasks of which something was recorded.

        Returns
        -------
        list of str
            Their names, sorted.
        """
        return self._record.flasks()

    def columns(self) -> Any:  # noqa: ANN401 (a data frame of either library)
        """Return what stands in the columns of all tables.

        Returns
        -------
        data frame
            `table`, `name`, `unit`, `definition` and `source`. A table has those of its columns of which its rows know
            something.
        """
        about = [
            {"table": table, **{name: value for name, value in asdict(column).items() if name != "kind"}}
            for table, columns in RUN_TABLES.items()
            for column in columns
        ]
        return data_frame(about, ABOUT_COLUMNS, self._library)

    def results(self) -> Any:  # noqa: ANN401
        """Return what became of every frame, as `cellvigil results` does.

        Returns
        -------
        data frame
            A row per frame and file in quarantine, in the order in which they were found: `state` (`ok`,
            `not_assessable`, `failed`, `quarantined`, `waiting`), `reason`, counts, confluency (a fraction), potency
            with its interval in percent of the reference lot. Empty where the folder has no ledger.
        """
        if not self._state.ledger.is_file():
            return self._table("results", ())
        with Ledger(self._state.ledger, readonly=True) as ledger:
            found = [asdict(row) for row in result_rows(ledger, self._record)]
        return self._table("results", [row | {"n_cells": row["cells"], "n_nuclei": row["nuclei"]} for row in found])

    def frames(self, flask: str | None = None) -> Any:  # noqa: ANN401
        """Return what was measured on frames: quality, counts and the features of the frame that the run needed.

        Parameters
        ----------
        flask
            Of this flask only; None is of all.

        Returns
        -------
        data frame
            A row per measured frame in order of time, with the columns of `frames.csv`: `train potency` can learn from
            it.
        """
        arrived = self._arrived()
        facts = self._record.frame_rows(flask)
        return self._table("frames", [rows.frame_row(row, arrived.get(row.frame_id)) for row in facts])

    def estimates(self, flask: str | None = None) -> Any:  # noqa: ANN401
        """Return potencies with their intervals, of frames and of flasks as of each frame.

        Parameters
        ----------
        flask
            Of this flask only; None is of all.

        Returns
        -------
        data frame
            A row per estimated frame in order of time; the newest revision. A frame that is not assessable has a
            `reason` and no number.
        """
        return self._table("estimates", map(rows.estimate_row, self._record.estimates(flask)))

    def alarms(self, flask: str | None = None) -> Any:  # noqa: ANN401
        """Return what happened to alarms.

        Parameters
        ----------
        flask
            Of this flask only; None is of all.

        Returns
        -------
        data frame
            A row per change in order of time: raised, cleared, and what operators did. Changes that late frames proved
            wrong are left out.
        """
        return self._table("alarms", map(rows.alarm_row, self._record.alarms(flask)))

    def drifts(self, flask: str | None = None) -> Any:  # noqa: ANN401
        """Return when detectors crossed their limits.

        Parameters
        ----------
        flask
            Of this flask only; None is of all.

        Returns
        -------
        data frame
            A row per event in order of time; statistic and limit in standard deviations of the flask's baseline.
        """
        return self._table("drifts", map(rows.drift_row, self._record.drifts(flask)))

    def failures(self) -> Any:  # noqa: ANN401
        """Return the frames that a stage gave up.

        Returns
        -------
        data frame
            A row per frame: `stage`, `reason` and `detail`, a sentence with the mend.
        """
        arrived = self._arrived()
        facts = self._record.failures()
        return self._table("failures", [rows.failure_row(fact, arrived.get(fact.frame_id)) for fact in facts])

    def frame(self, frame_id: str) -> Frame:
        """Return the pixels of a frame, as they were segmented.

        Parameters
        ----------
        frame_id
            As the tables have it.

        Returns
        -------
        Frame
            `pixels`, (Y, X) uint8, uint16 or float32, and `pixel_size_um`.

        Raises
        ------
        FrameRejected
            No such frame was segmented (`no_frame`), or its file is gone (`vanished`) or holds other content by now
            (`replaced`).
        FrameNotReady
            The folder of the frames cannot be read now.
        """
        return self._files.read(self._segmented(frame_id).frame)

    def labels(self, frame_id: str) -> Masks:
        """Return the label images of a frame.

        Parameters
        ----------
        frame_id
            As the tables have it.

        Returns
        -------
        Masks
            `cells` and `nuclei`, (Y, X) int32, 0 is background, ids from 1 without gaps; `quality`, and who made them.

        Raises
        ------
        FrameRejected
            No such frame was segmented (`no_frame`), or its label images are gone (`labels_gone`) or were changed
            (`labels_changed`).
        """
        fact = self._segmented(frame_id)
        return Masks(
            cells=self._labels.get(fact.cells),
            nuclei=self._labels.get(fact.nuclei),
            quality=fact.quality,
            by=fact.by,
        )

    def cells(self, frame_id: str) -> Any:  # noqa: ANN401
        """Measure the cells of a frame; a run keeps their outlines, and of their features those of the frame.

        Parameters
        ----------
        frame_id
            As the tables have it.

        Returns
        -------
        data frame
            A row per cell with the columns of `cells.csv`, without tracks: lengths in um, areas in um2; empty where a
            cell has no such measure.

        Raises
        ------
        FrameRejected
            As `frame` and `labels`.
        FrameNotReady
            As `frame`.
        """
        fact, masks = self._segmented(frame_id).frame, self.labels(frame_id)
        features = measure(self.frame(frame_id), masks.cells, masks.nuclei, families=tuple(FAMILIES))
        key = rows.place(fact.frame_id, fact.source, fact.key, fact.acquired_at)
        names = range(1, len(features.whole) + 1)
        return self._table("cells", [key | row for row in rows.cell_rows(names, features, {})])

    def _table(self, name: str, found: Iterable[Mapping[str, Any]]) -> Any:  # noqa: ANN401
        return data_frame(found, RUN_TABLES[name], self._library)

    def _arrived(self) -> dict[str, FrameArrived]:
        """Return every frame that arrived by its id; none where the folder has no ledger."""
        if not self._state.ledger.is_file():
            return {}
        with Ledger(self._state.ledger, readonly=True) as ledger:
            return {arrived.frame_id: arrived for arrived in ledger.frames()}

    def _segmented(self, frame_id: str) -> FrameSegmented:
        fact = self._record.segmentation(frame_id)
        if fact is None:
            message = f"no frame {frame_id[:80]!r} was segmented in {self._state.root}; `results` lists frames"
            raise FrameRejected(message, reason="no_frame")
        return fact

    @cached_property
    def _files(self) -> FrameFiles:
        if self._watch is None and not self._state.settings.is_file():
            message = f"{self._state.root} does not say where its frames lie; give open_state the folder as watch"
            raise SettingsError(message, reason="no_watch")
        watched = settings_of(self._state).watch
        limits = ReadLimits(max_bytes=watched.max_frame_bytes)
        return FrameFiles((self._watch or watched.folder).resolve(), limits)
