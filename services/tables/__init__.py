"""`cellvigil features`: what was measured on frames, as tables."""
