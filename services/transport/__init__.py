"""Transport: buses, the one consume loop, the embedded server."""
