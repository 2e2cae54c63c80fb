"""The record: stored facts behind one protocol; SQLite on one machine."""
