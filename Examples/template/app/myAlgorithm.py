"""A sample algorithm: prints what the sensor measures, and turns its fan on when it is warm."""

from sensorhub import ControlError, Platform

# The fan cools the sensor by 2 degrees, so the two bounds are further apart than that.
ON_ABOVE_CELSIUS = 28.0
OFF_BELOW_CELSIUS = 24.0


def main():
    with Platform() as platform:
        print(f"instance {platform.instance} of app {platform.app}", flush=True)
        # Position 0 is the first entry of the deployment's sensor_info. The loop ends when the hub stops the algorithm.
        for reading in platform.readings(0):
            temperature, fan = reading["temperature"], reading["fan"]
            print(f"{reading.sensor_id}: {temperature} °C, fan {'on' if fan else 'off'}", flush=True)
            # What the app's page shows.
            platform.publish_page({"sensor": reading.sensor_id, "temperature": temperature, "fan": fan})
            if temperature is None:
                continue
            try:
                if temperature > ON_ABOVE_CELSIUS and not fan:
                    platform.call(reading.sensor_id, "set_fan", on=True)
                elif temperature < OFF_BELOW_CELSIUS and fan:
                    platform.call(reading.sensor_id, "set_fan", on=False)
            except ControlError as error:
                print(error, flush=True)


if __name__ == "__main__":
    main()
