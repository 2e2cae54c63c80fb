"""Segmenter and predictor, and the frames that they read."""
