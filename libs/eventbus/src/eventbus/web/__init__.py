"""The HTTP half of a service: operations, problem documents, OpenAPI, and the server."""
