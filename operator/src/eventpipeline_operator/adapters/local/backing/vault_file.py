"""The file that a person edits to say what Vault holds, read anew whenever somebody asks."""

from pathlib import Path

from eventpipeline_operator.adapters.local.backing.vault_contents import (
    Contents,
    ContentsInvalid,
    parse_contents,
)
from eventpipeline_operator.api.reasons import Reason
from eventpipeline_operator.errors import Retryable


def read_contents(file: Path) -> Contents:
    """What it says now; one that is not there holds nothing, a mistake is a matter of time."""
    try:
        return parse_contents(file.read_text())
    except FileNotFoundError:
        return Contents()
    except (OSError, UnicodeDecodeError, ContentsInvalid) as error:
        why = error if isinstance(error, ContentsInvalid) else type(error).__name__
        raise Retryable(Reason.VAULT_UNAVAILABLE, f"{file} cannot be used: {why}") from None
