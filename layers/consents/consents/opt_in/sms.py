"""How many parts a text message has: in GSM 03.38, or in UCS-2 if a character is outside it."""

MAX_PARTS = 3
MAX_GSM_LENGTH = 459
"""Three parts of GSM 03.38."""

TOO_LONG = f"must be 1..{MAX_PARTS} SMS parts"

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")
"""Two septets each, which no part divides."""

_GSM_ONE, _GSM_MANY = 160, 153
_UCS2_ONE, _UCS2_MANY = 70, 67


def is_gsm(text: str) -> bool:
    """Return whether every character is of GSM 03.38."""
    return all(char in _BASIC or char in _EXTENDED for char in text)


def parts(text: str) -> int:
    """Return the number of parts of a text; an empty text has one."""
    if is_gsm(text):
        return _parts([2 if char in _EXTENDED else 1 for char in text], _GSM_ONE, _GSM_MANY)
    return _parts([2 if ord(char) > 0xFFFF else 1 for char in text], _UCS2_ONE, _UCS2_MANY)


def _parts(units: list[int], one: int, many: int) -> int:
    """Return in how many parts these fit, none of which is divided."""
    if sum(units) <= one:
        return 1
    count, used = 1, 0
    for unit in units:
        if used + unit > many:
            count, used = count + 1, 0
        used += unit
    return count
