"""The journeys of hack/demo.py through the shop that `eventpipeline dev` runs, which calls this."""

import os
import sys
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from demo import Shop, follow_both


class LocalShop(Shop):
    """The shop of this machine; its mails lie in files."""

    who_is_missing = "the screen shows who is not ready"

    def __init__(self, entry: str, state: Path) -> None:
        super().__init__(urlsplit(entry).port or 80)
        self._mails = state / "servers" / "mail"

    def mails_about(self, order_id: str) -> list[dict[str, Any]]:
        """What the mail catcher holds for an order."""
        found = []
        for file in self._mails.glob("*.eml"):
            mail = BytesParser(policy=policy.default).parsebytes(file.read_bytes())
            body = mail.get_body(("plain", "html"))
            if body and order_id in body.get_content():
                found.append({"subject": str(mail["Subject"])})
        return found


def main() -> int:
    """0 when both journeys ended as they should."""
    entry, state = os.environ["EVENTPIPELINE_ENTRY"], Path(os.environ["EVENTPIPELINE_STATE"])
    if not follow_both(LocalShop(entry, state)):
        return 1
    print(f"order API {entry}/api/v1/order   its page {entry}/api/v1/order/docs")
    return 0


if __name__ == "__main__":
    sys.exit(main())
