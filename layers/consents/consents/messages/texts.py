"""The texts that contacts get; a sentence whose facts are not known is left out."""

from consents.domain.sender_profile import SenderProfile

_RATES = "Msg & data rates may apply."
_WORDS = {
    "en": {
        "reply": "{brand}: Reply YES to get {program}.",
        "link": "{brand}: Confirm here: {link} to get {program}.",
        "both": "{brand}: Confirm here: {link} or reply YES to get {program}.",
        "welcome": "{brand}: You're signed up for {program}.",
        "program": "texts",
        "rates": _RATES,
        "stop": "Reply HELP for help, STOP to opt out.",
    },
    "es": {
        "reply": "{brand}: Responda YES para recibir {program}.",
        "link": "{brand}: Confirme en {link} para recibir {program}.",
        "both": "{brand}: Confirme en {link} o responda YES para recibir {program}.",
        "welcome": "{brand}: Ya est\u00e1 inscrito para recibir {program}.",
        "program": "mensajes",
        "rates": "Pueden aplicarse tarifas de mensajes y datos.",
        "stop": "Responda HELP para ayuda, STOP para cancelar.",
    },
}


def confirmation_text(
    profile: SenderProfile, program: str, frequency: str, lang: str, *, channel: str = "reply"
) -> str:
    """Return the default question; with a channel `link` or `both` it has `{link}` in it."""
    return _text(channel, profile, program or profile.program, frequency, lang)


def welcome_text(profile: SenderProfile, program: str, frequency: str, lang: str) -> str:
    """Return what a contact gets after a YES."""
    return _text("welcome", profile, program or profile.program, frequency, lang)


def stop_text(profile: SenderProfile) -> str:
    """Return the answer to a STOP; it offers nothing."""
    return (
        f"{profile.brand}: You are unsubscribed. No more messages will be sent. "
        "Reply START to sign up again."
    )


def help_text(profile: SenderProfile) -> str:
    """Return the answer to a HELP."""
    sentences = [
        f"{profile.program.rstrip('.')}." if profile.program else "",
        f"For help: {profile.help_contact}." if profile.help_contact else "",
        _RATES,
        "Reply STOP to opt out.",
    ]
    return f"{profile.brand}: {' '.join(filter(None, sentences))}"


def _text(key: str, profile: SenderProfile, program: str, frequency: str, lang: str) -> str:
    said = _WORDS[lang]
    named = (program or said["program"]).rstrip(".")
    often = (frequency or profile.frequency).rstrip(".")
    sentences = [
        said[key].format(brand=profile.brand, program=named, link="{link}"),
        f"{often}." if often else "",
        said["rates"],
        said["stop"],
    ]
    return " ".join(filter(None, sentences))
