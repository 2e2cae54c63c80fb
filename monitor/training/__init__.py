"""Training and scoring of the segmentation network."""
