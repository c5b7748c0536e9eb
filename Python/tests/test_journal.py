"""What is kept, how long, and what becomes of it when the disk is full or the file damaged."""

from __future__ import annotations

import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from sensorhub.journal import Journal, JournalLimits, JournalTaken
from sensorhub.spans import Position, Span, SpanSet

SOURCES = Path(__file__).parent.parent / "src"


def item(seq: int, boot: int = 1, size: int = 0) -> str:
    return json.dumps({"t": 7, "boot": boot, "seq": seq, "v": {"text": "x" * size}})


def fill(journal: Journal, last: int, first: int = 1, boot: int = 1, size: int = 0) -> list[Span]:
    gone: list[Span] = []
    for seq in range(first, last + 1):
        gone += journal.append(Position(boot, seq), item(seq, boot, size))
    return gone


def sequences(journal: Journal, span: Span) -> list[int]:
    """The numbers of all readings of a span that can be had, from its beginning."""
    found: list[int] = []
    while span.first <= span.last and (batch := journal.batch(span)) is not None:
        found += [json.loads(one)["seq"] for one in batch.items]
        assert batch.span == (span.boot, span.first, found[-1])
        span = Span(span.boot, found[-1] + 1, span.last)
    return found


@pytest.fixture(params=["file", "memory"])
def journal(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Journal]:
    one = Journal(str(tmp_path) if request.param == "file" else None, "s-1")
    yield one
    one.close()


def test_readings_come_back_in_batches(journal: Journal) -> None:
    assert fill(journal, 450) == []
    batch = journal.batch(Span(1, 1, 450))
    assert batch is not None and len(batch.items) == 200
    assert sequences(journal, Span(1, 1, 450)) == list(range(1, 451))
    assert sequences(journal, Span(1, 7, 9)) == [7, 8, 9]
    assert journal.batch(Span(1, 451, 460)) is None
    assert journal.batch(Span(2, 1, 1)) is None


def test_a_message_is_no_larger_than_it_must_be(journal: Journal) -> None:
    fill(journal, 3, size=30_000)
    fill(journal, 4, first=4, size=60_000)
    lengths = [len(batch.items) for seq in (1, 3, 4) if (batch := journal.batch(Span(1, seq, 4))) is not None]
    assert lengths == [1, 1, 1]


def test_what_is_kept_outlives_the_program(tmp_path: Path) -> None:
    first = Journal(str(tmp_path), "s-1")
    fill(first, 9)
    first.remember([Position(1, 9), Position(2, 0)])
    fill(first, 3, boot=2)
    first.close()
    second = Journal(str(tmp_path), "s-1")
    assert second.kept == SpanSet([Span(1, 1, 9), Span(2, 1, 3)])
    assert second.boots == [(1, 9), (2, 3)]
    second.close()


def test_and_its_violent_end(tmp_path: Path) -> None:
    script = (
        "import sys; from sensorhub.journal import Journal; from sensorhub.spans import Position\n"
        "journal = Journal(sys.argv[1], 's-1')\n"
        "for seq in range(1, 10**9): journal.append(Position(1, seq), '{}'); print(seq, flush=True)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 2000:
                process.send_signal(signal.SIGKILL)
                break
        last = max(int(line) for line in (line, *process.stdout) if line.endswith("\n"))
    after = Journal(str(tmp_path), "s-1")
    ((boot, begin, end),) = after.kept.spans
    # The last one may have been killed before it was told.
    assert (boot, begin) == (1, 1) and end in (last, last + 1)
    after.close()


def test_what_the_hub_has_is_removed_and_the_last_number_stays_known(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), "s-1", JournalLimits(removed_together=10))
    fill(journal, 25)
    journal.keep_only(SpanSet([Span(1, 20, 21), Span(1, 25, 25)]))
    assert journal.batch(Span(1, 19, 19)) is None
    assert sequences(journal, Span(1, 20, 25)) == list(range(20, 26))
    fill(journal, 40, first=26)
    journal.keep_only(SpanSet())
    journal.close()
    after = Journal(str(tmp_path), "s-1")
    assert after.kept == SpanSet([Span(1, 40, 40)])
    assert after.boots == [(1, 40)]
    after.close()


@pytest.mark.parametrize("folder", [True, False])
def test_beyond_the_bound_the_oldest_are_given_up(tmp_path: Path, folder: bool) -> None:
    limits = JournalLimits(bytes=100_000, bytes_in_memory=100_000)
    journal = Journal(str(tmp_path) if folder else None, "s-1", limits)
    gone = SpanSet(fill(journal, 5_000, size=100))
    ((boot, first, last),) = gone.spans
    assert (boot, first) == (1, 1) and 4_000 < last < 5_000
    assert sequences(journal, Span(1, last + 1, 5_000)) == list(range(last + 1, 5_001))
    assert journal.batch(Span(1, last, last)) is None
    journal.close()
    if folder:
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 2_000_000
        after = Journal(str(tmp_path), "s-1", limits)
        assert after.kept == SpanSet([Span(1, last + 1, 5_000)])
        after.close()


def test_a_single_reading_beyond_the_bound_is_kept(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), "s-1", JournalLimits(bytes=100))
    assert fill(journal, 1, size=500) == []
    assert fill(journal, 2, first=2, size=500) == [Span(1, 1, 1)]
    journal.close()


def test_one_has_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensorhub.journal._LOCK_SECONDS", 0.1)
    journal = Journal(str(tmp_path), "s-1")
    with pytest.raises(JournalTaken):
        Journal(str(tmp_path), "s-1")
    Journal(str(tmp_path), "s-2").close()
    journal.close()
    Journal(str(tmp_path), "s-1").close()


@pytest.mark.parametrize("content", [b"no database at all" * 100, b"SQLite format 3\0" + b"\xff" * 4_000])
def test_a_damaged_file_is_begun_anew_with_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes,
) -> None:
    (tmp_path / "s-1.sqlite").write_bytes(content)
    (tmp_path / "s-1.boots").write_bytes(b"{")
    journal = Journal(str(tmp_path), "s-1")
    assert "what it holds is lost" in caplog.text and "earlier starts are not known" in caplog.text
    assert journal.is_durable and not journal.kept and journal.boots == []
    fill(journal, 3)
    assert sequences(journal, Span(1, 1, 3)) == [1, 2, 3]
    journal.close()


def test_a_file_of_another_version_is_not_guessed_at(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with sqlite3.connect(tmp_path / "s-1.sqlite") as other:
        other.execute("PRAGMA user_version = 2")
    other.close()
    journal = Journal(str(tmp_path), "s-1")
    assert "it is of version 2" in caplog.text
    assert journal.is_durable
    journal.close()


def test_without_a_folder_to_write_to_readings_are_in_memory(
    tmp_path: Path, caplog: pytest.LogCaptureFixture,
) -> None:
    folder = tmp_path / "not there yet"
    journal = Journal(str(folder), "s-1", JournalLimits(pause_after_error=0))
    assert not journal.is_durable
    assert "kept in memory and end with this process" in caplog.text
    folder.mkdir()
    fill(journal, 3)
    assert journal.is_durable
    assert sequences(journal, Span(1, 1, 3)) == [1, 2, 3]
    journal.close()


def test_while_the_disk_is_full_readings_are_in_memory(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A limit on the size of files does to SQLite what a full disk does."""
    journal = Journal(str(tmp_path), "s-1", JournalLimits(pause_after_error=0))
    fill(journal, 9)
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, usual[1]))
    try:
        fill(journal, 50, first=10, size=1_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
        signal.signal(signal.SIGXFSZ, ignored)
    assert not journal.is_durable
    assert caplog.text.count("kept in memory and end with this process") == 1
    assert sequences(journal, Span(1, 1, 50)) == list(range(1, 51))
    # What goes with the process has its number on record.
    assert json.loads((tmp_path / "s-1.boots").read_bytes())["boots"] == [[1, 50]]
    fill(journal, 60, first=51)
    assert journal.is_durable
    assert sequences(journal, Span(1, 1, 60)) == list(range(1, 61))
    journal.close()


def test_a_file_that_is_damaged_while_it_is_open_is_begun_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture,
) -> None:
    journal = Journal(str(tmp_path), "s-1", JournalLimits(pause_after_error=0))
    fill(journal, 6_000, size=1_000)
    for name in ("s-1.sqlite", "s-1.sqlite-wal"):
        with (tmp_path / name).open("r+b") as file:
            file.write(b"\xff" * (tmp_path / name).stat().st_size)
    # Pages that SQLite has in memory are still good.
    assert journal.batch(Span(1, 1, 1)) is None
    fill(journal, 6_010, first=6_001)
    fill(journal, 6_020, first=6_011)
    assert sequences(journal, Span(1, 6_015, 6_020)) == list(range(6_015, 6_021))
    journal.close()


def test_a_discarded_journal_leaves_nothing(tmp_path: Path) -> None:
    journal = Journal(str(tmp_path), "s-1")
    fill(journal, 9)
    journal.remember([Position(1, 9)], durable=True)
    journal.discard()
    assert list(tmp_path.iterdir()) == []
