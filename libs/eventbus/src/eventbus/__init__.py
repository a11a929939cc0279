"""What every service of a pipeline stands on: Kafka, the outbox, the fence, HTTP and telemetry.

A record enters through `consumer`, is decided in one transaction by `batch` and `inbox`, leaves
through `outbox`, `relay` and `producer`. Nothing is imported here: a process pays only for what
it uses (the operator imports `eventbus.config` alone, an API never loads a Kafka client).
"""
