"""Browser components written for this app: plain HTML, CSS and JavaScript beside a typed Python function."""
