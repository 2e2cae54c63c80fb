"""Single images and engines, without a run."""
