"""Segmentation: from a frame to label images of cells and nuclei."""
