"""Measures the services: load in, every store asked, figures with their losses out.

`load` sends requests, `stack` runs servers and services, `scenarios` put both together, `ledger`
counts what became of every accepted order, `report` writes and draws what was found.
"""
