"""Templates → subject, text and HTML. A text template's first line is the subject."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from email_service.domain import Letter


@cache
def _template(name: str) -> Template:
    return _environment().get_template(name)


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("email_service", "templates"),
        autoescape=lambda name: name is not None and name.endswith(".html"),  # noqa: S701
        undefined=StrictUndefined,
    )


def render(letter: Letter) -> tuple[str, str, str]:
    """Subject, text, HTML."""
    values = {
        "order_id": letter.order_id,
        "product": letter.product,
        "quantity": letter.quantity,
        "reason": letter.reason or "no reason was given",
    }
    text = _template(f"{letter.template}.txt").render(values)
    subject, _, body = text.partition("\n")
    return subject, body, _template(f"{letter.template}.html").render(values)
