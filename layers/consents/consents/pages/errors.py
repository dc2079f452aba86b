"""Errors that only pages have; like all request errors, they are rejections of a whole request."""

from consents.domain.errors import RequestError


class LinkClosed(RequestError):
    """The link has expired, was closed, or is used."""


class ReadAgain(RequestError):
    """The stamp does not show that a person read this page just before."""


class Incomplete(RequestError):
    """A person has to complete the form; `problems` maps field to the key of a message."""

    def __init__(self, problems: dict[str, str]) -> None:
        super().__init__()
        self.problems = problems


class FromElsewhere(RequestError):
    """The browser says that another site sent the form."""
