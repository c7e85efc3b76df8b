"""Parts of pages: each takes frozen results, draws them, and returns or reports what was chosen."""
