"""One HTML file about runs; it opens from disk and makes no network requests."""
