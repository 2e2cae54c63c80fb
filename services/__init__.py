"""Thin processes that carry frames to `monitor` and its facts to people."""
