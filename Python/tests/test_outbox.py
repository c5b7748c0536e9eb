"""What is sent when, and what is forgotten: the rules of the drivers, without I/O."""

from __future__ import annotations

from typing import Any, Iterable

import pytest

from sensorhub.outbox import GiveUp, Limits, Mark, Outbox, Send, Wait
from sensorhub.spans import Position, Span, SpanSet


def take(outbox: Outbox, count: int) -> None:
    for _ in range(count):
        outbox.took()


def send(outbox: Outbox, first_message: int = 1, at: float = 0) -> list[Span]:
    """Sends what is to be sent, 200 readings in a message."""
    sent: list[Span] = []
    while isinstance(step := outbox.step(at), Send):
        part = step.span.through(Position(step.span.boot, step.span.first + 199))
        assert part is not None
        outbox.sent(part, first_message + len(sent), at)
        sent.append(part)
    return sent


def mark(boot: int, seq: int, missing: Iterable[tuple[int, int, int]] = ()) -> Mark:
    text = ", ".join(f"[{a}, {b}, {c}]" for a, b, c in missing)
    return Mark.parse(f'{{"boot": {boot}, "seq": {seq}, "missing": [{text}]}}'.encode())


@pytest.fixture
def outbox() -> Outbox:
    """Connected, in boot 100."""
    one = Outbox(100)
    one.settle()
    one.connected()
    return one


def test_a_reading_is_sent_at_once_when_connected(outbox: Outbox) -> None:
    assert outbox.step(0) is None
    take(outbox, 1)
    assert send(outbox) == [(100, 1, 1)]
    assert outbox.step(0) is None
    take(outbox, 1)
    assert send(outbox, 2) == [(100, 2, 2)]


def test_readings_are_kept_until_they_are_committed(outbox: Outbox) -> None:
    take(outbox, 5)
    send(outbox)
    outbox.acknowledged(1)
    assert outbox.kept.size == 5
    assert not outbox.committed(mark(100, 4, [(100, 2, 3)]))
    assert outbox.kept.spans == [(100, 2, 3), (100, 5, 5)]
    # Of a boot that is none of ours.
    assert not outbox.committed(mark(99, 1000))
    assert outbox.kept.size == 3


def test_all_that_is_not_committed_is_sent_again_after_a_reconnect(outbox: Outbox) -> None:
    take(outbox, 3)
    send(outbox)
    outbox.committed(mark(100, 1))
    outbox.disconnected()
    assert outbox.step(0) is None
    take(outbox, 2)
    assert outbox.unsent == 4
    outbox.connected()
    assert send(outbox, 2) == [(100, 2, 5)]


def test_and_when_the_hub_returns(outbox: Outbox) -> None:
    take(outbox, 2)
    send(outbox)
    outbox.hub_returned()
    assert send(outbox, 2) == [(100, 1, 2)]
    outbox.disconnected()
    outbox.hub_returned()
    assert outbox.step(0) is None


def test_what_earlier_starts_have_left_goes_first() -> None:
    outbox = Outbox(102, [Position(100, 60), Position(101, 5)], SpanSet([Span(100, 51, 60), Span(101, 1, 5)]))
    take(outbox, 2)
    outbox.connected()
    assert outbox.step(0) is None
    assert not outbox.committed(mark(100, 55))
    assert send(outbox, 1, 0) == [(100, 56, 60)]
    assert send(outbox, 2, 0.1) == [(101, 1, 5)]
    assert send(outbox, 3, 0.2) == [(102, 1, 2)]
    assert outbox.end_before(102) == (101, 5)
    assert not outbox.committed(mark(102, 2, [(101, 2, 2)]))
    assert outbox.kept.spans == [(101, 2, 2)]


def test_an_earlier_boot_is_not_believed_whole_while_the_beginning_of_the_next_is_missing() -> None:
    outbox = Outbox(101, [Position(100, 60)], SpanSet([Span(100, 51, 60)]))
    outbox.settle()
    outbox.connected()
    take(outbox, 9)
    outbox.committed(mark(101, 5, [(101, 1, 2)]))
    assert outbox.kept.spans == [(100, 51, 60), (101, 1, 2), (101, 6, 9)]


def test_a_list_of_twenty_missing_ranges_says_nothing_of_what_lies_behind(outbox: Outbox) -> None:
    take(outbox, 100)
    send(outbox)
    outbox.committed(mark(100, 100, [(100, 2 * n, 2 * n) for n in range(1, 21)]))
    assert outbox.kept.size == 20 + 60


def test_what_is_missing_is_sent_again_but_not_too_often(outbox: Outbox) -> None:
    take(outbox, 9)
    send(outbox)
    take(outbox, 3)
    word = mark(100, 9, [(100, 2, 3), (100, 6, 6)])
    outbox.committed(word)
    # 10 to 12 have yet to be sent, and come behind.
    assert send(outbox, 2, 0) == [(100, 2, 3)]
    assert send(outbox, 3, 0.001) == [(100, 6, 6), (100, 10, 12)]
    outbox.committed(word)
    assert outbox.step(1) == Wait(2)
    # Meanwhile it has come.
    outbox.committed(mark(100, 12, [(100, 6, 6)]))
    assert send(outbox, 5, 2) == [(100, 6, 6)]
    outbox.committed(mark(100, 12))
    assert not outbox.kept
    assert outbox.step(9) is None


def test_what_is_missing_and_gone_is_given_up() -> None:
    outbox = Outbox(100, [Position(90, 7)])
    outbox.settle()
    outbox.connected()
    take(outbox, 9)
    send(outbox)
    assert outbox.dropped([Span(100, 2, 4), Span(80, 1, 1)]) == 3
    outbox.committed(mark(100, 9, [(90, 6, 7), (95, 1, 9), (100, 3, 5)]))
    assert outbox.step(0.01) == GiveUp((Span(90, 6, 7), Span(100, 3, 4)))
    outbox.gave_up(2)
    assert send(outbox, 3, 0.01) == [(100, 5, 5)]
    outbox.committed(mark(100, 9))
    assert outbox.step(9) is None


def test_catching_up_is_paced_and_then_readings_go_at_once() -> None:
    outbox = Outbox(1)
    outbox.settle()
    take(outbox, 450)
    outbox.connected()
    assert send(outbox, 1, 0) == [(1, 1, 200)]
    assert outbox.step(0.049) == Wait(0.05)
    take(outbox, 1)
    assert send(outbox, 2, 0.05) == [(1, 201, 400)]
    assert send(outbox, 3, 0.1) == [(1, 401, 451)]
    take(outbox, 1)
    assert send(outbox, 4, 0.2) == [(1, 452, 452)]
    take(outbox, 1)
    assert send(outbox, 5, 0.2) == [(1, 453, 453)]


def test_the_broker_is_waited_for_when_enough_is_in_flight() -> None:
    outbox = Outbox(100, limits=Limits(messages_in_flight=2))
    outbox.settle()
    outbox.connected()
    for message in (1, 2, 3):
        take(outbox, 1)
        send(outbox, message)
    assert outbox.unsent == 1
    assert outbox.step(0) is None
    outbox.acknowledged(99)
    assert outbox.step(0) is None
    outbox.acknowledged(1)
    take(outbox, 1)
    assert send(outbox, 4) == [(100, 3, 4)]


def test_nothing_is_sent_before_the_boot_number_is_settled() -> None:
    outbox = Outbox(100)
    take(outbox, 1)
    outbox.connected()
    assert outbox.step(0) is None
    outbox.settle()
    assert send(outbox) == [(100, 1, 1)]


@pytest.mark.parametrize("committed, expected", [(99, 100), (100, 101), (200, 201)])
def test_the_boot_is_above_that_of_the_readings_in_the_hub(committed: int, expected: int) -> None:
    outbox = Outbox(100)
    outbox.connected()
    assert outbox.committed(mark(committed, 7)) == (expected != 100)
    take(outbox, 1)
    assert send(outbox) == [(expected, 1, 1)]


def test_a_refusal_pauses_and_begins_again(outbox: Outbox) -> None:
    take(outbox, 1)
    send(outbox, 7)
    assert not outbox.refused(6, 0)
    assert outbox.refused(7, 0)
    assert outbox.step(1) == Wait(10)
    assert send(outbox, 8, 10) == [(100, 1, 1)]


def test_what_was_dropped_before_it_could_be_sent_is_passed_over(outbox: Outbox) -> None:
    outbox.disconnected()
    take(outbox, 9)
    outbox.dropped([Span(100, 1, 4)])
    outbox.connected()
    assert send(outbox) == [(100, 5, 9)]


@pytest.mark.parametrize("payload", [
    b"", b"{}", b"[]", b"7", b'{"boot": 1}', b'{"boot": 1, "seq": -1}', b'{"boot": true, "seq": 1}',
    b'{"boot": 1, "seq": 9007199254740993}', b'{"boot": 1, "seq": 1, "missing": 7}',
    b'{"boot": 1, "seq": 1, "missing": [[1, 2]]}', b'{"boot": 1, "seq": 1, "missing": [[1, 3, 2]]}',
    b'{"boot": 1, "seq": 1, "missing": [[1, 2, "3"]]}', b"[" * 100_000,
])
def test_what_is_no_word_of_the_hub_is_not_taken_for_one(payload: bytes) -> None:
    with pytest.raises(ValueError, match="expected 'boot', 'seq'"):
        Mark.parse(payload)


def test_spans_are_joined_in_any_order() -> None:
    spans = SpanSet([Span(2, 1, 1), Span(1, 4, 6), Span(1, 1, 4), Span(1, 9, 9), Span(1, 7, 7)])
    assert spans.spans == [(1, 1, 7), (1, 9, 9), (2, 1, 1)]
    assert spans.size == 9
    with pytest.raises(ValueError):
        spans.append(Span(2, 1, 3))


@pytest.mark.parametrize("begin, end, rest", [
    ((1, 3), (1, 5), [(1, 1, 2), (1, 6, 9), (2, 1, 9)]), ((0, 0), (2, 8), [(2, 9, 9)]),
    ((1, 9), (2, 1), [(1, 1, 8), (2, 2, 9)]),
    ((3, 0), (9, 9), [(1, 1, 9), (2, 1, 9)]),
])
def test_a_range_is_removed_from_a_set(begin: Any, end: Any, rest: Any) -> None:
    spans = SpanSet([Span(1, 1, 9), Span(2, 1, 9)])
    spans.remove(Position(*begin), Position(*end))
    assert spans.spans == rest
