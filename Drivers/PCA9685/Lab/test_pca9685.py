from pathlib import Path

import pytest

from broker import Broker
from devices import Emulated, wait_until

EMULATOR = Path(__file__).parent / "emulator.py"
DRIVERS = Path(__file__).resolve().parents[2]


def pca9685(**attributes):
    return Emulated(EMULATOR, "PCA9685", **attributes)


def test_sets_what_the_kernels_driver_sets(lab, guest):
    bus = lab.i2c({0x40: pca9685()})
    folder = bus.bind("pca9685", 0x40, module="pwm-pca9685")
    chip = wait_until(lambda: guest.glob(f"{folder}/pwm/pwmchip*"), "the kernel's device")[0]
    guest.write(f"{chip}/export", "3")
    guest.write(f"{chip}/pwm3/period", "20000000")
    guest.write(f"{chip}/pwm3/duty_cycle", "1500000")
    guest.write(f"{chip}/pwm3/enable", "1")
    kernel = bus.call(0x40, "duty", 3), bus.call(0x40, "hertz")
    assert kernel[1] == pytest.approx(50, rel=0.01)
    sensor = lab.sensor("pca9685", interval=0.5, i2c=bus.name, frequency_hz=50)
    assert "the kernel's driver 'pca9685-pwm' has the chip at address 0x40" in sensor.once().stderr
    guest.write(f"{chip}/unexport", "3")
    bus.unbind(0x40)
    sensor.start()
    sensor.wait_for_values(1)
    assert sensor.call("set_servo", channel=3, pulse_us=1_500)["status"] == "done"
    assert (bus.call(0x40, "duty", 3), bus.call(0x40, "hertz")) == (pytest.approx(kernel[0], abs=2 / 4096), kernel[1])
    assert bus.call(0x40, "output", 3) == bus.call(0x40, "duty", 3)


def test_is_controlled_and_safe_at_the_end(lab):
    bus = lab.i2c({0x41: pca9685()})
    sensor = lab.sensor("pca9685", interval=60, i2c=bus.name, i2c_address="0x41", safe={"2": 50}).start()
    first = sensor.wait_for_values(1)[0]
    assert first["duty_2_percent"] == 50 and first["duty_0_percent"] == 0
    assert first["frequency_hz"] == pytest.approx(25e6 / 4096 / 31)
    assert bus.call(0x41, "output", 2) == 0.5
    assert sensor.call("set_duty", channel=0, percent=25)["status"] == "done"
    assert sensor.call("set_duty", channel=15, percent=100)["status"] == "done"
    assert sensor.call("set_duty", channel=2, percent=0)["status"] == "done"
    assert [bus.call(0x41, "output", channel) for channel in (0, 15, 2)] == [0.25, 1, 0]
    assert sensor.call("set_frequency", hz=1_000)["status"] == "done"
    assert bus.call(0x41, "hertz") == pytest.approx(1_000, rel=0.02)
    assert bus.call(0x41, "output", 0) == 0.25
    assert bus.get(0x41, "blocked") == 0
    sensor.wait_for(duty_0_percent=25, duty_15_percent=100)
    assert sensor.call("all_off")["status"] == "done"
    assert bus.call(0x41, "output", 15) == 0
    for function, parameters, error in [
        ("set_duty", {"channel": 16, "percent": 1}, "must be from 0 to 15, is 16"),
        ("set_duty", {"channel": 1, "percent": 101}, "must be from 0.0 to 100.0, is 101.0"),
        ("set_servo", {"channel": 1, "pulse_us": 1e6}, "pulse_us: must be from 0.0 to"),
        ("set_frequency", {"hz": 10}, "hz: must be from 24 to 1525 Hz, is 10"),
    ]:
        reply = sensor.call(function, **parameters)
        assert reply["status"] == "refused" and error in reply["error"]
    sensor.call("set_duty", channel=0, percent=25)
    assert sensor.stop() == 0
    assert [bus.call(0x41, "output", channel) for channel in (0, 2)] == [0, 0.5]


def test_safe_without_the_hub(lab, tmp_path):
    bus = lab.i2c({0x40: pca9685()})
    # One of its own, which can be ended.
    lab.broker = Broker(tmp_path)
    sensor = lab.sensor("pca9685", interval=60, i2c=bus.name, safe={"4": 12.5}, safe_after_seconds=2).start()
    sensor.wait_for_values(1)
    assert sensor.call("set_duty", channel=4, percent=75)["status"] == "done"
    assert bus.call(0x40, "output", 4) == 0.75
    lab.broker.stop()
    wait_until(lambda: bus.call(0x40, "output", 4) == 0.125, "the output to be safe")
    assert "the hub was out of reach for too long" in sensor.log


def test_power_that_was_gone_comes_back(lab):
    bus = lab.i2c({0x40: pca9685()})
    sensor = lab.sensor("pca9685", interval=0.3, i2c=bus.name, frequency_hz=60).start()
    sensor.wait_for_values(1)
    sensor.call("set_duty", channel=7, percent=75)
    bus.call(0x40, "reset")
    count = len(sensor.values)
    sensor.wait_for_values(count + 3)
    assert bus.call(0x40, "output", 7) == 0.75
    assert bus.call(0x40, "hertz") == pytest.approx(60, rel=0.01)


# Wrong input: one clear message, a status `fault`, and no reading.


def faulty(lab, *words, **attributes):
    sensor = lab.sensor("pca9685", interval=0.5, **attributes).start()
    sensor.wait_for_fault(*words)
    assert sensor.values == []
    reply = sensor.call("set_duty", channel=0, percent=1)
    assert reply["status"] == "failed"


def test_wrong_address(lab):
    bus = lab.i2c({0x40: pca9685()})
    faulty(lab, "no answer from address 0x42", i2c=bus.name, i2c_address="0x42")


def test_another_chip(lab):
    bus = lab.i2c({0x40: Emulated(DRIVERS / "PCF8574" / "Lab" / "emulator.py", "PCF8574")})
    faulty(lab, "is no PCA9685: its registers do not keep what is written to them", i2c=bus.name)


@pytest.mark.parametrize("attributes, message", [
    ({"i2c_address": "0x70"}, "i2c_address: 0x70 is no address that this chip can have"),
    ({"frequency_hz": 2_000}, "frequency_hz: must be from 24 to 1525 Hz, is 2000"),
    ({"safe": {"16": 1}}, "safe.16: '16' is no channel: they are 0 to 15"),
    ({"safe": {"1": -1}}, "safe.1: must be from 0.0 to 100.0, is -1.0"),
])
def test_wrong_configuration_ends_the_driver(lab, attributes, message):
    done = lab.sensor("pca9685", i2c=1, **attributes).once()
    assert done.returncode == 78 and message in done.stderr
