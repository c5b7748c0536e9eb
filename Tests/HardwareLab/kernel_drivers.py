"""Drivers of Linux that Debian's kernel comes without, for the guest: as a second opinion, and for what they make of a
chip (lines of /dev/gpiochipN, channels of /sys/class/pwm)."""

from __future__ import annotations

import functools
import os
import subprocess

from guest import HERE


@functools.cache
def build_kernel_drivers() -> None:
    """Has gpio-pcf857x, pinctrl-mcp23s08_i2c and pwm-pca9685 built from Debian's source, the first time."""
    subprocess.run([HERE / "kernel-drivers", os.environ["SENSORHUB_LAB"]], check=True)
