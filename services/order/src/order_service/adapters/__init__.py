"""Adapters of the order service."""
