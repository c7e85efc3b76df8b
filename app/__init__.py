"""What people touch: the browser app and the command line."""
