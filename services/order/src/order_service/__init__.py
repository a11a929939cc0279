"""Takes orders, learns from stock whether they can be served, and tells how they ended."""
