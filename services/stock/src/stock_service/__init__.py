"""Keeps stock, and decides for each order whether it can be served."""
