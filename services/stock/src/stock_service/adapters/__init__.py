"""Adapters of the stock service."""
