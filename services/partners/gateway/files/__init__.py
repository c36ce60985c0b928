"""Spreadsheets and JSON lines as events: `praktika publish`, `praktika validate`, and the page `/upload`."""
