"""The session of the console: a link for one use, an end, the last contacts."""

from consents_console.session import IDLE_SECONDS, Looked, Session


def session_at(clock: list[float]) -> Session:
    return Session(lambda: clock[0])


def looked(number: int) -> Looked:
    return Looked("org_1", "Acme", f"{number:048x}", f"+1555444{number:04}")


def test_the_key_of_the_link_is_valid_once() -> None:
    session = session_at([0.0])
    key = session.link_key
    assert [session.open("x"), session.open(key), session.open(key), session.open("")] == [
        False,
        True,
        False,
        False,
    ]


def test_two_sessions_share_no_secret() -> None:
    one, other = session_at([0.0]), session_at([0.0])
    secrets = {one.link_key, one.cookie, one.form_token, other.link_key, other.cookie}
    assert len(secrets | {other.form_token}) == 6


def test_use_puts_the_end_off() -> None:
    clock = [0.0]
    session = session_at(clock)
    clock[0] = IDLE_SECONDS - 1
    session.touch()
    clock[0] += IDLE_SECONDS - 1
    assert not session.is_over
    clock[0] += 1
    assert session.is_over


def test_the_last_ten_contacts_are_kept_newest_first() -> None:
    session = session_at([0.0])
    for number in [*range(12), 5]:
        session.remember(looked(number))
    assert list(session.recent) == [looked(one) for one in (5, 11, 10, 9, 8, 7, 6, 4, 3, 2)]
