"""Operator that makes EventPipeline objects true: topics, secrets and workloads, in that order."""
