"""Models: read, normalised, planned in memory, and judged by the real interpreter."""
