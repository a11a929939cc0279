"""Field types that the contracts of several services share, in requests as well as in records.

What they refuse could not be stored by Postgres or written into a mail's header later on.
"""

import re
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, StringConstraints


def _whole(value: object) -> object:
    """JSON knows one kind of number: 3.0 is 3, while 1.5, "3" and true are no counts at all."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WholeNumber = Annotated[int, BeforeValidator(_whole)]

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _moment(value: object) -> object:
    """A number, or a day alone, would be taken for a moment too."""
    if isinstance(value, str) and not _RFC_3339.fullmatch(value):
        raise ValueError("a moment in RFC 3339, with its zone, is wanted")
    return value


Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]

# No control character, and something to see; what is said of it in OpenAPI is all that is asked.
# Spaces are spelled out: every dialect of regular expressions has its own idea of them.
_CONTROL = r"\x00-\x1f\x7f"
_SPACE = r"\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff"
Line = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=200,
        pattern=f"^[^{_CONTROL}]*[^{_CONTROL}{_SPACE}][^{_CONTROL}]*$",
    ),
    AfterValidator(str.strip),
]

EmailAddress = Annotated[
    str,
    StringConstraints(
        max_length=254,
        pattern=(
            r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@"
            r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+"
            r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?$"
        ),
    ),
]
