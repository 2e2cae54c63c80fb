"""Features: what is measured on every cell and every frame, in micrometres."""
