"""Readings by their numbers: a boot counts the starts of whoever publishes, and seq the readings since."""

from __future__ import annotations

from typing import Iterable, NamedTuple, Optional

#: Beyond this no number can have come about.
LARGEST = 1 << 53


class Position(NamedTuple):
    """The number of a reading."""

    boot: int
    seq: int


#: Before the first reading of all.
ZERO = Position(0, 0)


class Span(NamedTuple):
    """Consecutive readings of one boot."""

    boot: int
    first: int
    last: int

    @property
    def begin(self) -> Position:
        """The first of them."""
        return Position(self.boot, self.first)

    @property
    def end(self) -> Position:
        """The last of them."""
        return Position(self.boot, self.last)

    @property
    def size(self) -> int:
        """How many there are."""
        return self.last - self.first + 1

    def intersection(self, other: Span) -> Optional[Span]:
        """What lies in both; None where nothing does."""
        first, last = max(self.first, other.first), min(self.last, other.last)
        return Span(self.boot, first, last) if self.boot == other.boot and first <= last else None

    def since(self, position: Position) -> Optional[Span]:
        """The part from `position` on; None where there is none."""
        if self.end < position:
            return None
        return self if self.begin >= position else Span(self.boot, position.seq, self.last)

    def through(self, position: Position) -> Optional[Span]:
        """The part up to `position`; None where there is none."""
        if self.begin > position:
            return None
        return self if self.end <= position else Span(self.boot, self.first, position.seq)


class SpanSet:
    """A set of readings, as spans in order that do not touch."""

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self.spans: list[Span] = []
        for span in sorted(spans):
            rest = span.since(Position(self.spans[-1].boot, self.spans[-1].last + 1)) if self.spans else span
            if rest is not None:
                self.append(rest)

    def __bool__(self) -> bool:
        return bool(self.spans)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SpanSet) and self.spans == other.spans

    def __repr__(self) -> str:
        return f"SpanSet({self.spans})"

    @property
    def last(self) -> Optional[Position]:
        """The last reading in it."""
        return self.spans[-1].end if self.spans else None

    @property
    def size(self) -> int:
        """How many readings are in it."""
        return sum(span.size for span in self.spans)

    def parts(self, of: Span) -> list[Span]:
        """What of a span is in the set."""
        return [part for part in (span.intersection(of) for span in self.spans) if part is not None]

    def following(self, position: Position) -> Optional[Span]:
        """The first readings from `position` on."""
        return next((part for part in (span.since(position) for span in self.spans) if part is not None), None)

    def append(self, span: Span) -> None:
        """Adds readings that lie after all that are in the set."""
        last = self.spans[-1] if self.spans else None
        if last is not None and last.end >= span.begin:
            raise ValueError(f"{span} does not lie after {last}")
        if last is not None and last.boot == span.boot and last.last + 1 == span.first:
            self.spans[-1] = Span(last.boot, last.first, span.last)
        else:
            self.spans.append(span)

    def intersect(self, other: SpanSet) -> None:
        """Keeps only what is in the other set too."""
        self.spans = [part for span in self.spans for part in other.parts(span)]

    def remove(self, begin: Position, end: Position, exceptions: Optional[SpanSet] = None) -> None:
        """Removes what lies from `begin` to `end`, both included, and is no exception."""
        rest = SpanSet()
        for span in self.spans:
            later = span.since(begin)
            inside = later.through(end) if later is not None else None
            if inside is None:
                rest.append(span)
                continue
            if span.first < inside.first:
                rest.append(Span(span.boot, span.first, inside.first - 1))
            for part in exceptions.parts(inside) if exceptions is not None else ():
                rest.append(part)
            if inside.last < span.last:
                rest.append(Span(span.boot, inside.last + 1, span.last))
        self.spans = rest.spans
