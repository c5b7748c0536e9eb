import signal

import pytest

pytestmark = pytest.mark.gpio


def meter(lab, **attributes):
    chip = lab.gpio({0: "METER"})
    return chip, lab.sensor("pulse_counter", line={"chip": chip.label, "offset": 0}, **attributes)


def start_with_state(lab, sensor, folder):
    sensor.process = lab.guest.spawn(
        lab.program, "--config", f"/run/tmp/{sensor.name}.json",
        env={"SENSORHUB_HUB": "lab", "SENSORHUB_BROKER": f"mqtt://10.0.2.2:{lab.broker.port}",
             "SENSORHUB_STATE": folder})
    # It has the line when its first reading is there.
    return sensor.wait_for_values(len(sensor.values) + 1)[-1]


def test_counts_every_pulse(lab):
    chip, sensor = meter(lab, interval=0.5, factor=0.5, first_total=100)
    sensor.start()
    assert {"total": 100, "pulses": 0, "lost_edges": 0}.items() <= sensor.wait_for_values(1)[0].items()
    # As many as the kernel keeps until they are read.
    for burst in range(1, 11):
        chip.pulses(0, 7)
        sensor.wait_for(pulses=7 * burst)
    assert sensor.values[-1]["total"] == 135
    assert sensor.values[-1]["lost_edges"] == 0
    assert all(value.get("rate", 0) >= 0 for value in sensor.values)
    assert sensor.wait_for_values(len(sensor.values) + 2)[-1]["rate"] > 0


def test_the_total_outlives_the_driver_and_kill(lab, guest):
    folder = f"/run/tmp/state-{lab.id}"
    guest.call("mkdir", path=folder)
    chip, sensor = meter(lab, interval=0.5)
    assert start_with_state(lab, sensor, folder)["total"] == 0
    chip.pulses(0, 5)
    sensor.wait_for(total=5)
    sensor.stop(signal.SIGKILL)
    assert start_with_state(lab, sensor, folder)["total"] == 5
    chip.pulses(0, 3)
    sensor.wait_for(total=8, pulses=8)
    assert sensor.call("set_total", total=1234.5)["status"] == "done"
    sensor.wait_for(total=1234.5)
    sensor.stop()
    assert {"total": 1234.5, "pulses": 8}.items() <= start_with_state(lab, sensor, folder).items()


def test_bouncing(lab):
    chip, sensor = meter(lab, interval=0.5, debounce_ms=2_000)
    sensor.start()
    sensor.wait_for_values(1)
    chip.pulses(0, 5)
    chip.pull(0, True)
    value = sensor.wait_for(pulses=1)["v"]
    assert value["bounces"] > 0


def test_more_than_can_be_kept(lab):
    chip, sensor = meter(lab, interval=0.5)
    sensor.start()
    sensor.wait_for_values(1)
    pulses = 2_000
    chip.pulses(0, pulses)
    count = len(sensor.values)
    last = sensor.wait_for_values(count + 6)[-1]
    # No more than there were. libgpiod 2 numbers edges: what is lost is known then, and counts.
    assert 0 < last["pulses"] <= pulses
    if "libgpiod2" in lab.program:
        assert last["pulses"] == pulses or last["lost_edges"] > 0


# Wrong input: one clear message, a status `fault`, and no reading.


def test_a_line_in_use(lab):
    chip, sensor = meter(lab)
    lab.spawn("gpiomon", chip.name, "0")
    sensor.start()
    sensor.wait_for_fault("line 0 'METER'", "is in use by 'gpiomon'")
    assert sensor.values == []


@pytest.mark.parametrize("attribute", [{"factor": 0}, {"rate_per": "day"}, {"debounce_ms": -1}, {"line": {"chip": 0}}])
def test_wrong_configuration_ends_the_driver(lab, attribute):
    done = lab.sensor("pulse_counter", **{"line": "METER", **attribute}).once()
    assert done.returncode == 78
    assert next(iter(attribute)) in done.stderr
