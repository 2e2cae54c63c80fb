"""Frames: who they are, how they are named on disk, how they are read."""
