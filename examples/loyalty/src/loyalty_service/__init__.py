"""Grants points for orders that were confirmed; a foreign service on eventbus."""
