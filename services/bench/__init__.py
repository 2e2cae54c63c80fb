"""Measurements of this installation on this machine: how fast it is, and how fast it could be."""
