"""The steps that make an object true, against ports; no client library is known here."""
