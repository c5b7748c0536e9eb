"""HC-SR04 at two lines of gpio-sim, from its data sheet ("Timing Diagram"), as a program in the guest:

    emulator.py TRIGGER/value ECHO/pull

with the files of gpio-sim for the two lines. A line on standard input is how long the next echoes are to be, in
milliseconds, or `off` for none. It is answered with how long each echo so far really was, by the emulator's clock, at
least and at most: on an emulated machine a sleep takes longer than it is to, and anything can come between two lines.
"""

import json
import os
import select
import sys
import time


def main() -> None:
    trigger, echo = os.open(sys.argv[1], os.O_RDONLY), os.open(sys.argv[2], os.O_WRONLY)
    milliseconds, was_high, commands = 0.0, False, b""
    echoes: list[tuple[float, float]] = []
    while True:
        if select.select([0], [], [], 0)[0]:
            read = os.read(0, 100)
            if not read:
                return
            commands += read
            *lines, commands = commands.split(b"\n")
            for line in lines:
                milliseconds = 0.0 if line == b"off" else float(line)
                print(json.dumps(echoes), flush=True)
        is_high = os.pread(trigger, 1, 0) == b"1"
        # "Supply a short 10 µs pulse to the trigger input": it is the pulse's end that starts the burst.
        if was_high and not is_high and milliseconds:
            before_rise = time.monotonic()
            os.pwrite(echo, b"pull-up", 0)
            after_rise = time.monotonic()
            time.sleep(milliseconds / 1_000)
            before_fall = time.monotonic()
            os.pwrite(echo, b"pull-down", 0)
            after_fall = time.monotonic()
            echoes.append(((before_fall - after_rise) * 1_000, (after_fall - before_rise) * 1_000))
        was_high = is_high


if __name__ == "__main__":
    main()
