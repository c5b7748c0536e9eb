"""Says when a room should be aired. It takes the readings of another algorithm as if they came from a device."""

from __future__ import annotations

from typing import Optional

from sensorhub import Platform


def main() -> None:
    was_comfortable: Optional[bool] = None
    with Platform() as platform:
        for reading in platform.readings(0):
            comfortable = reading["comfortable"]
            if comfortable is None or comfortable == was_comfortable:
                continue
            was_comfortable = comfortable
            word = "comfortable" if comfortable else "time to open a window"
            print(f"{reading.sensor.attributes['room']}: {word}, dew point {reading['dew_point']} °C", flush=True)
            platform.publish_page({"instance": platform.instance, "sensor": reading.sensor_id, **reading.values})


if __name__ == "__main__":
    main()
