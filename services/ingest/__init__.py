"""Finding frames: watch events as hints, a scan that misses nothing, and when a file counts as complete."""
