"""Engines: how the network is run; every engine keeps one contract."""
