"""The tables of the record, by version."""

from services.store.database import Schema

FIRST = (
    "CREATE TABLE IF NOT EXISTS segmentations (frame_id TEXT PRIMARY KEY, fact TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS failures (frame_id TEXT PRIMARY KEY, fact TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS culture_rows (
      row_id TEXT PRIMARY KEY, flask TEXT NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL, fact TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS culture_rows_fold ON culture_rows (flask, at, row_id)",
    """CREATE TABLE IF NOT EXISTS estimates (
      frame_id TEXT PRIMARY KEY, flask TEXT NOT NULL, acquired_at TEXT NOT NULL, revision INTEGER NOT NULL,
      fact TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS estimates_flask ON estimates (flask, acquired_at, frame_id)",
    "CREATE INDEX IF NOT EXISTS estimates_revised ON estimates (flask, revision)",
    """CREATE TABLE IF NOT EXISTS drifts (
      event_id TEXT PRIMARY KEY, flask TEXT NOT NULL, at TEXT NOT NULL, fact TEXT NOT NULL)""",
    """CREATE TABLE IF NOT EXISTS alarms (
      event_id TEXT PRIMARY KEY, flask TEXT NOT NULL, at TEXT NOT NULL, withdrawn INTEGER NOT NULL DEFAULT 0,
      fact TEXT NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS silences (silence_id TEXT PRIMARY KEY, fact TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS actions (row_id TEXT PRIMARY KEY, at TEXT NOT NULL, fact TEXT NOT NULL)",
    """CREATE TABLE IF NOT EXISTS standings (
      flask TEXT NOT NULL, channel TEXT NOT NULL, fact TEXT NOT NULL, PRIMARY KEY (flask, channel))""",
    """CREATE TABLE IF NOT EXISTS audit (
      number INTEGER PRIMARY KEY, flask TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL, fact TEXT NOT NULL,
      hash TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS audit_flask ON audit (flask, number)",
    """CREATE TRIGGER IF NOT EXISTS audit_is_kept BEFORE DELETE ON audit
      BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END""",
    """CREATE TRIGGER IF NOT EXISTS audit_is_final BEFORE UPDATE ON audit
      BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END""",
)
"""As cellvigil 0.1.0 made them, without a version."""
LOOKED_UP = (
    # the newest of a series, and lists by pages, are found without reading the rest
    """CREATE INDEX IF NOT EXISTS estimates_series ON estimates (
      flask, json_extract(fact, '$.key.position'), json_extract(fact, '$.key.channel'), acquired_at, frame_id)""",
    "CREATE INDEX IF NOT EXISTS alarms_at ON alarms (at, event_id)",
    "CREATE INDEX IF NOT EXISTS alarms_flask ON alarms (flask, at, event_id)",
)
RECORD = Schema(
    name="record",
    reason="record",
    version=1,
    tables=FIRST + LOOKED_UP,
    # a process that was killed while it made the first tables left some of them out
    migrations={0: FIRST + LOOKED_UP},
)
