"""A DHT22 says a bit in 76 to 120 µs, which nothing in an emulated machine can do; and Debian's kernel for this machine
has no driver `dht11`. So only what goes wrong is tested here: bits are in the unit tests."""

import pytest


@pytest.mark.gpio
def test_nobody_answers(lab):
    chip = lab.gpio({0: "DATA"})
    chip.pull(0, True)
    sensor = lab.sensor("dht22", interval=2, line={"chip": chip.label, "offset": 0}).start()
    reason = sensor.wait_for_fault("3 times in a row")
    assert reason == f"3 times in a row: no answer at line 0 of '{chip.label}': is the sensor connected?"
    assert sensor.values == []
    # Between two questions the line is free, and pulled up.
    assert chip.value(0) is True


@pytest.mark.gpio
def test_a_line_in_use(lab):
    chip = lab.gpio({0: "DATA"})
    lab.spawn("gpiomon", chip.name, "0")
    sensor = lab.sensor("dht22", interval=2, line={"chip": chip.label, "offset": 0}).start()
    sensor.wait_for_fault("line 0 'DATA'", "is in use by 'gpiomon'")
    assert sensor.values == []


def test_no_such_device(lab):
    sensor = lab.sensor("dht22", interval=2, device="dht11").start()
    sensor.wait_for_fault("there is no IIO device 'dht11'")
    assert sensor.values == []


@pytest.mark.parametrize("attributes", [{}, {"line": "DATA", "device": "dht11"}])
def test_wrong_configuration_ends_the_driver(lab, attributes):
    done = lab.sensor("dht22", **attributes).once()
    assert done.returncode == 78
    assert "line" in done.stderr and "device" in done.stderr
