"""The demo's mail catcher."""

from typing import Any


def caught_mails(catcher: Any) -> list[dict[str, Any]]:
    """All that it holds, from its site behind the Ingress."""
    answer = catcher.call("GET", "/api/email")
    if answer.status_code == 404:  # maildev 2 and 3 differ in the path, not in the answer
        answer = catcher.call("GET", "/email")
    mails: list[dict[str, Any]] = answer.json()
    return mails
