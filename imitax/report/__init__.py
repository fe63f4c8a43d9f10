"""One HTML file that tells how runs went; it opens from disk and asks the network for nothing."""
