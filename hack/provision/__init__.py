"""Brings a machine from nothing to a running cluster; hack/{artifact,cluster,images,deploy} use it.

Standard library only: this code runs before anything is installed.
"""
