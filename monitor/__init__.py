"""cellvigil's library: what happens to a frame, in memory; no Redis, no clock, no environment."""

__version__ = "0.1.0"
