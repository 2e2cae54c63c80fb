"""A whole run: processes assembled, watched, shown."""
