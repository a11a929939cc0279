"""Kafka, Postgres, Vault and a mail catcher as processes of this machine, for one person's use."""
