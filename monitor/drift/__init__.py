"""Drift detectors: one detector, one file, its reference in the docstring."""
