"""Delivering alarms: an outbox that survives restarts, and the ways out of it."""
