"""The template language of secrets: {KEY}, {KEY|urlencode}, doubled braces are literal."""

import re
from collections.abc import Mapping
from urllib.parse import quote

TOKEN = re.compile(r"\{\{|\}\}|\{([^{}|]+)(?:\|([^{}|]*))?\}|[{}]")


class TemplateError(ValueError):
    """A template that cannot be filled in; the message never contains a value."""


def render(template: str, values: Mapping[str, str]) -> str:
    """Fill in a template; TemplateError names the key, the filter or the stray brace."""

    def substitute(match: re.Match[str]) -> str:
        token = match.group(0)
        if token in ("{{", "}}"):
            return token[0]
        key, chosen = match.group(1), match.group(2)
        if key is None:
            msg = f"a single {token!r}: double it where a brace is meant literally"
            raise TemplateError(msg)
        if key not in values:
            msg = f"no key {key!r} in Vault; there are: {', '.join(sorted(values)) or 'none'}"
            raise TemplateError(msg)
        return _filtered(values[key], chosen)

    return TOKEN.sub(substitute, template)


def _filtered(value: str, chosen: str | None) -> str:
    if chosen is None:
        return value
    if chosen == "urlencode":
        return quote(value, safe="")
    msg = f"unknown filter {chosen!r}: there is only urlencode"
    raise TemplateError(msg)
