"""What stands in the tables of a run: the columns of `columns.py`, and those of facts that only a run has."""

from dataclasses import replace

from services.tables.columns import CELLS, FRAMES, Column

_NAMED = {column.name: column for column in (*CELLS, *FRAMES)}


def _text(name: str, definition: str, source: str) -> Column:
    return Column(name, "text", "", definition, source)


def _time(name: str, definition: str, source: str) -> Column:
    return Column(name, "time", "", definition, source)


_FRAME_ID = _text("frame_id", "sha256 of the content of the frame's file", "ledger")
_SOURCE = replace(_NAMED["source"], definition="path of the file below the watched folder", source="ledger")
_ACQUIRED = replace(_NAMED["acquired_at"], kind="time", definition="time of the frame, UTC")
_FLASK = _NAMED["flask"]
_KEY = (_FRAME_ID, _SOURCE, _FLASK, *(_NAMED[name] for name in ("position", "channel", "time_point")), _ACQUIRED)
_COUNTS = (_NAMED["n_cells"], _NAMED["n_nuclei"])
_OF_KEY = {column.name for column in _KEY}
_POTENCY = (
    Column("potency", "number", "%", "potency of the frame, of the reference lot; empty unless ok", "potency model"),
    Column("low", "number", "%", "lower end of its interval", "potency model"),
    Column("high", "number", "%", "upper end of its interval", "potency model"),
)
_REASON = _text("reason", "code that says why the state is not ok", "record")

_RESULTS = (
    *_KEY,
    _text("state", "ok, not_assessable, failed, quarantined, or waiting", "ledger, record"),
    _REASON,
    *_COUNTS,
    _NAMED["confluency"],
    *_POTENCY,
)
_ESTIMATES = (
    *_KEY,
    *_COUNTS,
    _text("state", "ok or not_assessable", "potency model"),
    _REASON,
    *_POTENCY,
    Column("rolling_potency", "number", "%", "potency of the flask over its last frames", "culture/state.py"),
    Column("rolling_low", "number", "%", "lower end of its interval", "culture/state.py"),
    Column("rolling_high", "number", "%", "upper end of its interval", "culture/state.py"),
    Column("trend_per_day", "number", "%/d", "Theil-Sen slope over these frames", "culture/state.py"),
    Column("n_frames", "whole", "1", "assessable frames among them", "culture/state.py"),
    Column("revision", "whole", "1", "how often frames that came late changed the rolling part", "record"),
    _text("potency_model", "digest of the potency model", "potency model"),
)
_ALARMS = (
    _text("event_id", "identity of the change", "culture/state.py"),
    _text("alarm_id", "what joins the changes of one alarm", "culture/state.py"),
    _FLASK,
    _text("channel", "kind of trouble: potency, optics, segmentation, arrival and others", "culture/state.py"),
    _text("state", "what happened: raised, cleared, acknowledged, shelved and others", "culture/state.py"),
    _time("at", "when it happened, UTC", "culture/state.py"),
    replace(_FRAME_ID, definition="the frame that shows it; empty where none does"),
    _time("estimated_onset_at", "when the trouble is believed to have begun, UTC", "culture/state.py"),
    _text("priority", "high, medium or low", "culture.rules"),
    _text("status", "where the alarm stands afterwards, after ISA-18.2", "culture/alarms.py"),
    _text("by", "who did it, cellvigil where it came about by itself", "operators"),
    _text("cause", "likely cause", "culture.rules"),
    _text("consequence", "what comes of it", "culture.rules"),
    _text("action", "what to do", "culture.rules"),
    _time("respond_by", "when somebody should have acted, UTC", "culture.rules"),
)
_DRIFTS = (
    _text("event_id", "identity of the event", "drift"),
    _FLASK,
    _text("channel", "kind of trouble that it speaks of", "drift"),
    _text("detector", "the detector that crossed its limit", "drift"),
    _FRAME_ID,
    _time("at", "time of the frame at which it did, UTC", "drift"),
    Column("statistic", "number", "1", "its statistic, in standard deviations of the baseline", "drift"),
    Column("limit", "number", "1", "its limit, in the same", "drift"),
    Column("provisional", "truth", "", "whether the baseline was still being learnt", "drift"),
)
_FAILURES = (
    *_KEY,
    _text("stage", "the worker that gave the frame up", "record"),
    replace(_REASON, definition="code that says why"),
    _text("detail", "the same as a sentence, with the mend", "record"),
)

RUN_TABLES = {
    "results": _RESULTS,
    "frames": (*_KEY, *(column for column in FRAMES if column.name not in _OF_KEY)),
    "cells": (*_KEY, *(column for column in CELLS if column.name not in _OF_KEY)),
    "estimates": _ESTIMATES,
    "alarms": _ALARMS,
    "drifts": _DRIFTS,
    "failures": _FAILURES,
}
"""Columns by table; a table has those of which its rows know something."""
