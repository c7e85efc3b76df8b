"""Parts of the Own data page."""
