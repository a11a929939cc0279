"""Kubernetes as a runtime: records → manifests (pure), one server-side-apply client, watches."""
