"""Runs once they are stored: read, indexed, compared, judged, remembered."""
