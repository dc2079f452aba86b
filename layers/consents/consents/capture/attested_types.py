"""The records of the Attested Consent API, as pydantic types.

`validators` has them compiled: a function that captures does not import this module.
"""

from typing import NotRequired, TypedDict

from consents.domain import fields


class _BrowserEvidence(TypedDict):
    captured_at: fields.CapturedAt
    ip_address: fields.IpAddress
    user_agent: fields.UserAgent
    agreement_text: fields.AgreementText
    form_url: fields.FormUrl
    consent_method: fields.ConsentMethod


class _OffBrowserEvidence(TypedDict):
    captured_at: fields.CapturedAt
    ip_address: NotRequired[fields.IpAddress | None]
    user_agent: NotRequired[fields.UserAgent | None]
    agreement_text: fields.AgreementText
    form_url: NotRequired[fields.FormUrl | None]
    consent_method: fields.ConsentMethod


class _Record[Evidence](TypedDict):
    phone_number_id: fields.Uuid
    contact_number: fields.ContactNumber
    opted_in: fields.OptedIn
    evidence: Evidence


type BrowserRecord = _Record[_BrowserEvidence]
type OffBrowserRecord = _Record[_OffBrowserEvidence]
