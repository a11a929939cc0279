"""The second runtime: the records of a pipeline as processes of this machine, without a cluster."""
