"""Measures the operator against a real API server, Kafka and Vault.

`objects` says what is applied, `installation` starts the servers and the operator, `cluster` is
the user who applies and watches, `drift` somebody who meddles, `audit` counts requests from the
servers' own logs, `usage` samples the operator's process; `scenarios` put them together, `results`,
`plots` and `__main__` show what came out.
"""
