"""Simulated frames and cultures with known truth; nothing here is a measurement of real cells."""
