"""Where readings are kept until the hub has them."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import time
from dataclasses import dataclass
from typing import Iterable, Optional

from .outbox import KEPT_BOOTS
from .spans import LARGEST, Position, Span, SpanSet

_log = logging.getLogger("sensorhub")
#: One sector of a disk. The file is written in place, which needs no room on a full disk.
_BOOT_FILE_BYTES = 512
#: What a reading takes besides its text.
_ROW_BYTES = 24
#: Another process that is just ending may have the file still.
_LOCK_SECONDS = 5.0
_VERSION = 1
#: What goes into one message: more readings than one only up to these bounds.
_BATCH_READINGS = 200
_BATCH_BYTES = 32 << 10


class JournalTaken(Exception):
    """Somebody else has the journal open."""


@dataclass(frozen=True)
class JournalLimits:
    """Beyond these the oldest readings are given up, some at a time."""

    bytes: int = 64 << 20
    bytes_in_memory: int = 1 << 20
    #: Readings that the hub has are removed so many at a time, to spare the disk.
    removed_together: int = 1000
    #: After the file could not be written.
    pause_after_error: float = 10.0


@dataclass(frozen=True)
class Batch:
    """Readings for one message, as JSON."""

    span: Span
    items: tuple[str, ...]


class Journal:
    """Keeps the readings of one sensor in order, and which boots there were: in files, which outlive the program.

    SQLite writes without waiting for the disk: when the program is killed the kernel still has what was written, and
    only a power cut can take what is younger than about half a minute. Without a folder, and while the file cannot be
    written, readings are in memory. For one thread at a time.
    """

    def __init__(self, folder: Optional[str], sensor: str, limits: JournalLimits = JournalLimits()) -> None:
        """Opens it, and reads through what an earlier start has left; raises `JournalTaken`."""
        self._limits = limits
        self._path = os.path.join(folder, f"{sensor}.sqlite") if folder else None
        self._boot_path = os.path.join(folder, f"{sensor}.boots") if folder else None
        self._memory = _Readings(":memory:", limits.bytes_in_memory)
        self._file: Optional[_Readings] = None
        #: When to try the file again, in seconds of the monotonic clock; None while it can be written.
        self._retry_at: Optional[float] = None
        self._open()
        #: What an earlier start has left.
        self.kept = self._file.kept() if self._file is not None else SpanSet()
        #: The boots of earlier starts with their last numbers, as far as is known.
        self.boots = self._merge(self._read_boots(), self.kept)

    @property
    def is_durable(self) -> bool:
        """True where what is appended outlives the program."""
        return self._file is not None and self._retry_at is None

    def close(self) -> None:
        """Lets another one have the files."""
        for readings in filter(None, (self._file, self._memory)):
            readings.close()

    def discard(self) -> None:
        """Closes it, and removes all that it has."""
        self.close()
        for path in filter(None, (self._path, self._boot_path)):
            _remove(path)

    # Readings

    def append(self, position: Position, item: str) -> list[Span]:
        """Keeps a reading; returns those that had to be given up for want of room."""
        if self._retry_at is None or time.monotonic() >= self._retry_at:
            if self._file is None:
                self._reopen()
            if self._file is not None:
                try:
                    gone = self._appended(self._file, position, item)
                    if self._retry_at is not None:
                        _log.info("readings are kept in %s again", self._path)
                    self._retry_at = None
                    return gone
                except sqlite3.Error as error:
                    self._failed(error)
        # What memory holds goes with the process: the number at least is to be known then.
        self.remember([*self.boots, position])
        return self._appended(self._memory, position, item)

    def _appended(self, readings: _Readings, position: Position, item: str) -> list[Span]:
        readings.append(position, item)
        return readings.trim()

    def batch(self, span: Span) -> Optional[Batch]:
        """The first of these readings and as many more as fit into a message; None where that one cannot be had."""
        for readings in filter(None, (self._file, self._memory)):
            try:
                batch = readings.batch(span)
            except sqlite3.Error as error:
                self._failed(error)
                continue
            if batch is not None:
                return batch
        return None

    def keep_only(self, wanted: SpanSet) -> None:
        """Removes what lies before all that is wanted, when it is worth while."""
        for readings in filter(None, (self._file, self._memory)):
            try:
                if readings.count >= wanted.size + self._limits.removed_together:
                    readings.remove_before(wanted.spans[0].begin if wanted else None, self._limits.removed_together)
            except sqlite3.Error as error:
                self._failed(error)

    def _open(self) -> None:
        if self._path is None:
            return
        try:
            self._file = _Readings(self._path, self._limits.bytes)
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise JournalTaken(self._path) from None
            self._failed(error)
        except sqlite3.DatabaseError as error:
            _log.error("%s cannot be read, and what it holds is lost: %s", self._path, error)
            _remove(self._path)
            try:
                self._file = _Readings(self._path, self._limits.bytes)
            except sqlite3.Error as again:
                self._failed(again)

    def _reopen(self) -> None:
        try:
            self._open()
        except JournalTaken:
            self._failed(sqlite3.OperationalError("somebody else has it open"))

    def _failed(self, error: sqlite3.Error) -> None:
        if self._retry_at is None:
            _log.error(
                "until %s can be written, readings are kept in memory and end with this process: %s", self._path, error
            )
        self._retry_at = time.monotonic() + self._limits.pause_after_error
        damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        if damaged and self._file is not None:
            # Opened again it is found to be damaged, and begun anew.
            self._file.close()
            self._file = None

    # Boots

    def remember(self, boots: Iterable[Position], durable: bool = False) -> None:
        """Writes down which boots there were; `durable` where that must outlive a power cut."""
        self.boots = self._merge(boots, SpanSet())
        if self._boot_path is None:
            return
        text = json.dumps({"boots": self.boots}).encode().ljust(_BOOT_FILE_BYTES)
        try:
            descriptor = os.open(self._boot_path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(descriptor, text, 0)
                if durable:
                    os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            _log.error("the boot number cannot be remembered: %s", error)

    def _read_boots(self) -> list[Position]:
        if self._boot_path is None:
            return []
        try:
            with open(self._boot_path, "rb") as file:
                boots = [Position(*pair) for pair in json.loads(file.read(_BOOT_FILE_BYTES))["boots"]]
            if not all(isinstance(number, int) and 0 <= number <= LARGEST for boot in boots for number in boot):
                raise ValueError("a number that cannot be")
            return boots
        except FileNotFoundError:
            return []
        except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
            _log.error("%s cannot be read, earlier starts are not known: %s", self._boot_path, error)
            return []

    @staticmethod
    def _merge(remembered: Iterable[Position], kept: SpanSet) -> list[Position]:
        last: dict[int, int] = {}
        for boot, seq in (*remembered, *(span.end for span in kept.spans)):
            last[boot] = max(last.get(boot, 0), seq)
        return [Position(*item) for item in sorted(last.items())][-KEPT_BOOTS:]


class _Readings:
    """One SQLite database with readings; every method may raise `sqlite3.Error`.

    The newest reading is never removed: it says how far the last boot went.
    """

    def __init__(self, path: str, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        # Each statement is a transaction of its own. The caller has it used by one thread at a time.
        self._connection = sqlite3.connect(path, _LOCK_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            for pragma in (
                "page_size = 1024",
                # No one else works with the file; and there is no file for shared memory then.
                "locking_mode = EXCLUSIVE",
                "journal_mode = WAL",
                "synchronous = NORMAL",
                "wal_autocheckpoint = 4096",
                "journal_size_limit = 4194304",
            ):
                self._connection.execute(f"PRAGMA {pragma}").fetchall()
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version not in (0, _VERSION):
                raise sqlite3.DatabaseError(f"it is of version {version}")
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS reading "
                "(boot INTEGER, seq INTEGER, item TEXT NOT NULL, PRIMARY KEY (boot, seq)) WITHOUT ROWID"
            )
            self._connection.execute(f"PRAGMA user_version = {_VERSION}")
            self.count, self._bytes = self._connection.execute(
                f"SELECT count(*), coalesce(sum(length(CAST(item AS BLOB)) + {_ROW_BYTES}), 0) FROM reading"
            ).fetchone()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    def kept(self) -> SpanSet:
        return _spans(self._connection.execute("SELECT boot, seq FROM reading ORDER BY boot, seq"))

    def append(self, position: Position, item: str) -> None:
        # A signal can have ended a program's call between this and the counting of the number: it is used again then.
        self._connection.execute("INSERT OR REPLACE INTO reading VALUES (?, ?, ?)", (*position, item))
        self.count += 1
        self._bytes += len(item.encode()) + _ROW_BYTES

    def batch(self, span: Span) -> Optional[Batch]:
        rows = self._connection.execute(
            "SELECT seq, item FROM reading WHERE boot = ? AND seq BETWEEN ? AND ? ORDER BY seq LIMIT ?",
            (*span, _BATCH_READINGS),
        )
        items: list[str] = []
        size = 0
        for seq, item in rows:
            if seq != span.first + len(items) or (items and size + len(item) > _BATCH_BYTES):
                break
            items.append(item)
            size += len(item)
        return Batch(Span(span.boot, span.first, span.first + len(items) - 1), tuple(items)) if items else None

    def remove_before(self, position: Optional[Position], step: int) -> None:
        """Removes what lies before `position`, or all; `step` readings at a time, so that no transaction is large."""
        newest = self._connection.execute(
            "SELECT boot, seq FROM reading ORDER BY boot DESC, seq DESC LIMIT 1"
        ).fetchone()
        if newest is None:
            return
        end = Position(*newest) if position is None else min(position, Position(*newest))
        while True:
            rows = self._connection.execute(
                "SELECT boot, seq, length(CAST(item AS BLOB)) FROM reading WHERE (boot, seq) < (?, ?) "
                "ORDER BY boot, seq LIMIT ?",
                (*end, step),
            ).fetchall()
            if not rows:
                return
            self._remove(rows)

    def trim(self) -> list[Span]:
        """Gives up the oldest beyond the bound, a bit more than is needed so that it is not done each time."""
        if self._bytes <= self._most_bytes:
            return []
        goal = self._most_bytes - self._most_bytes // 256
        rows = []
        size = self._bytes
        for row in self._connection.execute(
            "SELECT boot, seq, length(CAST(item AS BLOB)) FROM reading ORDER BY boot, seq LIMIT ?", (self.count - 1,)
        ):
            if size <= goal:
                break
            rows.append(row)
            size -= row[2] + _ROW_BYTES
        if rows:
            self._remove(rows)
        return _spans(row[:2] for row in rows).spans

    def _remove(self, rows: list[tuple[int, int, int]]) -> None:
        # All rows before the last of these are among them.
        self._connection.execute("DELETE FROM reading WHERE (boot, seq) <= (?, ?)", rows[-1][:2])
        self.count -= len(rows)
        self._bytes -= sum(row[2] + _ROW_BYTES for row in rows)


def _spans(rows: Iterable[tuple[int, int]]) -> SpanSet:
    spans = SpanSet()
    for boot, seq in rows:
        spans.append(Span(boot, seq, seq))
    return spans


def _remove(path: str) -> None:
    for name in (path, f"{path}-wal", f"{path}-shm", f"{path}-journal"):
        try:
            os.unlink(name)
        except FileNotFoundError:
            pass
        except OSError as error:
            _log.error("%s cannot be removed: %s", name, error)
