"""Writes to the customer how an order ended."""
