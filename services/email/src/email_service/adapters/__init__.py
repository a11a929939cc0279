"""Adapters of the email service."""
