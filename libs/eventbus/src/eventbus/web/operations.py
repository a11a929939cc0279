"""What an HTTP operation is: declared by a service's routes, served by `api`, told by `openapi`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pydantic


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation returns: the common envelope's content."""

    data: Any = None
    message: str | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Envelope(pydantic.BaseModel):
    """The members that every answer has."""

    message: str | None = None
    timestamp: str
    status: int


@dataclass(frozen=True)
class Operation:
    """One documented call."""

    method: str
    path: str
    summary: str
    answer: type[pydantic.BaseModel]
    status: int = 200
    body: type[pydantic.BaseModel] | None = None
    query: type[pydantic.BaseModel] | None = None
    headers: Sequence[str] = ()
    problems: Sequence[int] = ()
