"""Potency: feature contract, boosted trees, calibration, abstention."""
