"""Switches the light in a bus on when it gets dark, and off when it is bright again."""

from __future__ import annotations

from sensorhub import ControlError, Platform, Reading

# Below this it is too dark to read.
ON_BELOW_LUX = 40.0
# The light shines on the sensor too and adds 60 lux, so a reading of 100 with the light on is a bus that would be at
# 40 without it. Off at 150 leaves it at 90: far from the 40 at which it would come on again.
OFF_ABOVE_LUX = 150.0


def wanted(reading: Reading) -> bool | None:
    """Whether the light is to be on; None leaves it as it is."""
    lux = reading["lux"]
    if lux is None:
        return None
    if lux < ON_BELOW_LUX:
        return True
    if lux > OFF_ABOVE_LUX:
        return False
    return None


def main() -> None:
    switched_at = 0
    with Platform() as platform:
        for reading in platform.readings(0):
            # Readings that were under way while the light was switched do not show it yet.
            if reading.t <= switched_at:
                continue
            on = wanted(reading)
            if on is None or on == reading["light"]:
                continue
            word = "on" if on else "off"
            try:
                reply = platform.call(reading.sensor_id, "set_light", on=on)
            except ControlError as error:
                # The next reading is the next attempt.
                print(f"light stays as it is: {error}", flush=True)
                continue
            switched_at = reply.t or reading.t
            print(f"{reading.sensor_id}: {reading['lux']:.0f} lux, light {word}", flush=True)
            platform.publish_page(
                {"instance": platform.instance, "sensor": reading.sensor_id, "lux": reading["lux"], "light": word}
            )


if __name__ == "__main__":
    main()
