"""The header Consent-Log: a checkpoint that no response waits for."""

from base64 import b64encode
from threading import Event

import pytest
from consents.http.consent_log import MAX_AGE_SECONDS, NAME, NO_LOG, ConsentLog

NOTE = b"log.example.com\n3\nAAAA\n"


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Reads:
    """Counts reads of the checkpoint, and returns what a test says."""

    def __init__(self, *contents: bytes | None) -> None:
        self.contents = list(contents)
        self.count = 0

    def __call__(self, seconds: float) -> bytes | None:
        assert seconds < MAX_AGE_SECONDS
        self.count += 1
        return self.contents.pop(0)


def refreshed(log: ConsentLog) -> ConsentLog:
    thread = log.refresh()
    assert thread is not None
    thread.join(10)
    return log


def test_the_header_has_the_whole_note_in_base64() -> None:
    log = refreshed(ConsentLog(Reads(NOTE)))

    assert log.headers() == {NAME: b64encode(NOTE).decode()}


def test_there_is_no_header_before_the_first_checkpoint() -> None:
    assert refreshed(ConsentLog(Reads(None))).headers() == {}
    assert ConsentLog(Reads(NOTE)).headers() == {}
    assert NO_LOG.headers() == {}


def test_a_response_does_not_wait_for_the_checkpoint() -> None:
    answered = Event()

    def read(_seconds: float) -> bytes:
        answered.wait(10)
        return NOTE

    log = ConsentLog(read)
    thread = log.refresh()
    assert thread is not None
    assert log.headers() == {}
    answered.set()
    thread.join(10)
    assert NAME in log.headers()


def test_a_process_reads_three_times_a_minute_however_many_it_answers() -> None:
    clock, reads = Clock(), Reads(NOTE, NOTE, NOTE)
    log = ConsentLog(reads, clock=clock)
    for _ in range(60):
        if thread := log.refresh():
            thread.join(10)
        clock.now += 1

    assert reads.count == 3


def test_a_checkpoint_that_was_read_a_minute_ago_is_not_sent() -> None:
    clock = Clock()
    log = refreshed(ConsentLog(Reads(NOTE, None), clock=clock))
    clock.now += MAX_AGE_SECONDS - 1
    assert NAME in refreshed(log).headers()  # this read found nothing

    clock.now += 1
    assert log.headers() == {}


def test_a_checkpoint_is_as_old_as_the_beginning_of_its_read() -> None:
    clock = Clock()

    def slow(_seconds: float) -> bytes:
        clock.now += MAX_AGE_SECONDS  # the process was frozen
        return NOTE

    assert refreshed(ConsentLog(slow, clock=clock)).headers() == {}


@pytest.mark.parametrize("content", [b"", None])
def test_an_empty_answer_replaces_nothing(content: bytes | None) -> None:
    clock = Clock()
    log = refreshed(ConsentLog(Reads(NOTE, content), clock=clock))
    clock.now += 30

    assert refreshed(log).headers() == {NAME: b64encode(NOTE).decode()}
