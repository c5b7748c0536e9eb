"""Which readings the hub may still need, and what is to be sent when."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Iterable, Optional, Union

from .spans import LARGEST, ZERO, Position, Span, SpanSet

#: Of so many boots the last number is remembered.
KEPT_BOOTS = 10
#: The hub names so many missing ranges and no more.
_NAMED_RANGES = 20


@dataclass(frozen=True)
class Mark:
    """What the hub says of a sensor's readings: those up to `position` are stored, but for the ones it misses."""

    position: Position
    missing: SpanSet
    #: True where more may be missing behind the last range that is named.
    is_cut_short: bool = False

    @classmethod
    def parse(cls, payload: bytes) -> Mark:
        """Reads what stands on the topic `committed`; raises `ValueError` if it is something else."""
        try:
            document = json.loads(payload)
            position = Position(_number(document["boot"]), _number(document["seq"]))
            missing = [Span(*map(_number, item)) for item in document.get("missing") or ()]
            if any(span.first > span.last for span in missing):
                raise ValueError("a range that ends before it begins")
        # What a document of another shape raises depends on the shape.
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise ValueError(f"expected 'boot', 'seq' and perhaps 'missing': {type(error).__name__}: {error}") from None
        return cls(position, SpanSet(missing), len(missing) >= _NAMED_RANGES)

    @property
    def reached(self) -> Position:
        """Up to here, what is not missing is stored."""
        last = self.missing.last if self.is_cut_short else None
        return self.position if last is None else min(last, self.position)


def _number(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST:
        raise ValueError(f"{value!r} is no number of a reading"[:100])
    return value


@dataclass(frozen=True)
class Send:
    """Readings that follow one another: as many of the first ones as fit into a message are to be sent."""

    span: Span


@dataclass(frozen=True)
class GiveUp:
    """The hub misses these of our readings, and they are kept no more."""

    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Wait:
    """Nothing to do before this moment or the next event."""

    until: float


Step = Union[Send, GiveUp, Wait, None]


@dataclass(frozen=True)
class Limits:
    """How fast readings are sent."""

    #: Messages that the broker has not yet acknowledged.
    messages_in_flight: int = 10
    #: What is sent again goes no faster than a reading in this time.
    pace_seconds: float = 0.00025
    pause_after_refusal: float = 10.0
    #: Between two answers to what the hub misses: the first one takes a while to arrive.
    pause_between_answers: float = 2.0


@dataclass
class _Round:
    """What was sent since what is not committed was last begun with."""

    #: The last reading that was there when the round began: up to it we are catching up.
    backlog_end: Position
    #: What lies before has been sent.
    next: Position = ZERO
    not_before: Optional[float] = None
    #: What was sent already, and is missing.
    again: SpanSet = field(default_factory=SpanSet)
    #: What is missing for good.
    given_up: tuple[Span, ...] = ()
    in_flight: set[int] = field(default_factory=set)


class Outbox:
    """Knows by number which readings of one sensor the hub may still need. Without I/O; moments are seconds.

    The rules are those of the drivers (docs/drivers.md). Whenever readings may have got lost on the way, a new round
    begins: everything that is not committed is sent again, in order, several readings in a message and with pauses.
    What gets lost within a round the hub notices by the numbers, and names as missing.
    """

    def __init__(
        self, boot: int, after: Iterable[Position] = (), kept: Optional[SpanSet] = None, limits: Limits = Limits()
    ) -> None:
        """`boot` of this start lies above all those `after` which it comes, given with their last numbers in order."""
        #: The boots under which numbers were given, with the last one of each; the last boot is the present one.
        self.boots: list[Position] = [*after, Position(boot, 0)]
        #: Readings that are kept and not committed.
        self.kept = kept or SpanSet()
        #: False until it is known that the present boot is above that of the readings that the hub has.
        self.is_settled = False
        self._limits = limits
        self._round: Optional[_Round] = None
        #: What the hub misses and has not been answered yet, and when it may be.
        self._missing = SpanSet()
        self._answer_at = float("-inf")

    @property
    def following(self) -> Position:
        """The number of the next reading."""
        last = self.boots[-1]
        return Position(last.boot, last.seq + 1)

    @property
    def is_in_flight(self) -> bool:
        """True while a message has not been acknowledged by the broker."""
        return self._round is not None and bool(self._round.in_flight)

    @property
    def unsent(self) -> int:
        """How many readings have not been sent in the present round."""
        if self._round is None:
            return self.kept.size
        parts = (span.since(self._round.next) for span in self.kept.spans)
        return sum(part.size for part in parts if part is not None)

    def end_before(self, boot: int) -> Optional[Position]:
        """The last reading of the boot before."""
        return next((one for one in reversed(self.boots) if one.boot < boot and one.seq > 0), None)

    # Events

    def took(self) -> None:
        """A reading was taken, and is kept under the number that was `following`."""
        position = self.boots[-1] = self.following
        self.kept.append(Span(position.boot, position.seq, position.seq))

    def dropped(self, spans: Iterable[Span]) -> int:
        """Readings are kept no more; returns how many of them had not been committed."""
        before = self.kept.size
        for span in spans:
            self.kept.remove(span.begin, span.end)
        self._forget_repeats()
        return before - self.kept.size

    def connected(self) -> None:
        """There is a connection: what was sent before may not have arrived."""
        self._begin_round()

    def disconnected(self) -> None:
        """There is none."""
        self._round = None

    def hub_returned(self) -> None:
        """The hub is back. What was sent meanwhile is in the broker's queue, unless the broker has lost that."""
        if self._round is not None:
            self._begin_round()

    def settle(self) -> None:
        """The hub has nothing of this sensor, as far as one can tell: the present boot stands."""
        self.is_settled = True

    def committed(self, mark: Mark) -> bool:
        """The hub told how far it is.

        Returns True if a new boot was begun, because the hub has readings with the present one or a higher one that
        are none of ours: the clock was set back, say. What was taken before stays under its number.
        """
        last = self.boots[-1]
        foreign = mark.position.boot > last.boot or (
            mark.position.boot == last.boot and (not self.is_settled or mark.position.seq > last.seq)
        )
        self.is_settled = True
        if foreign:
            self.boots.append(Position(mark.position.boot + 1, 0))
            del self.boots[:-KEPT_BOOTS]
            return True
        if not self._is_own(mark.position.boot):
            return False
        # How far an earlier boot went the hub learns with the first reading of the next one. Where that is missing, it
        # cannot know what else is.
        unsure = [span.boot for span in mark.missing.spans if span.first <= 1 and self._is_own(span.boot)]
        self.kept.remove(Position(max(unsure, default=0), 0), mark.reached, mark.missing)
        self._missing = mark.missing
        self._forget_repeats()
        return False

    def acknowledged(self, message: int) -> None:
        """The broker has taken a message."""
        if self._round is not None:
            self._round.in_flight.discard(message)

    def refused(self, message: Optional[int], now: float) -> bool:
        """The broker has refused a message, or None: it could not even be sent. False if it was none of ours."""
        if self._round is None or (message is not None and message not in self._round.in_flight):
            return False
        self._begin_round(now + self._limits.pause_after_refusal)
        return True

    def sent(self, span: Span, message: int, now: float) -> None:
        """A message with the first readings of what `step` said is on its way."""
        current = self._round
        if current is None:
            return
        current.in_flight.add(message)
        if span.begin < current.next:
            current.again.remove(span.begin, span.end)
        else:
            current.next = Position(span.boot, span.last + 1)
        catching_up = span.begin <= current.backlog_end or bool(current.again)
        current.not_before = now + self._limits.pace_seconds * span.size if catching_up else None

    def gave_up(self, message: int) -> None:
        """The hub is being told what is given up."""
        if self._round is not None:
            self._round.in_flight.add(message)
            self._round.given_up = ()

    # What to do

    def step(self, now: float) -> Step:
        """What is to be done next; None for nothing before the next event."""
        current = self._round
        if current is None or not self.is_settled:
            return None
        if now >= self._answer_at:
            self._answer(current, now)
        if len(current.in_flight) >= self._limits.messages_in_flight:
            return None
        if current.not_before is not None and now < current.not_before:
            return Wait(current.not_before)
        if current.given_up:
            return GiveUp(current.given_up)
        span = current.again.spans[0] if current.again else self.kept.following(current.next)
        if span is not None:
            return Send(span)
        return Wait(self._answer_at) if self._missing else None

    def _answer(self, current: _Round, now: float) -> None:
        # Sees what can be done about what the hub misses. What has yet to be sent comes anyway.
        if not self._missing:
            return
        sent_through = Position(current.next.boot, current.next.seq - 1)
        sent = [part for part in (span.through(sent_through) for span in self._missing.spans) if part is not None]
        current.again = SpanSet([*current.again.spans, *(part for span in sent for part in self.kept.parts(span))])
        gone = SpanSet(self._missing.spans)
        for span in self.kept.spans:
            gone.remove(span.begin, span.end)
        ours = (span.through(self.boots[-1]) for span in gone.spans if self._is_own(span.boot))
        current.given_up = tuple(span for span in ours if span is not None)
        self._missing = SpanSet()
        self._answer_at = now + self._limits.pause_between_answers

    def _is_own(self, boot: int) -> bool:
        return any(one.boot == boot for one in self.boots) or any(span.boot == boot for span in self.kept.spans)

    def _begin_round(self, not_before: Optional[float] = None) -> None:
        self._round = _Round(self.kept.last or ZERO, not_before=not_before)

    def _forget_repeats(self) -> None:
        if self._round is not None and self._round.again:
            self._round.again.intersect(self.kept)
