"""The items of the Bulk Consents API, as a pydantic type.

`validators` has it compiled: a function that captures does not import this module.
"""

from typing import NotRequired, TypedDict

from consents.domain import fields


class Item(TypedDict):
    """An item of a request."""

    correlation_id: fields.CorrelationId
    sender_id: fields.SenderId
    contact_id: fields.ContactNumber
    status: fields.Status
    source: fields.Source
    date_of_consent: NotRequired[fields.DateOfConsent]
