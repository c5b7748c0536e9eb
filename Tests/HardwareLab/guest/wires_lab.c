// SPDX-License-Identifier: GPL-2.0
/*
 * A GPIO chip with two lines that are the wires of an I2C bus, data and clock: both have a pull-up, and the chips of an
 * adapter of i2c_lab are at the other end. For tests of a bus that a program makes of two lines; gpio-sim's lines do
 * not go back up when they are let go.
 *
 * It moves as the I2C-bus specification says (NXP, UM10204, 3.1). A write is passed on when it is complete. Of a read that
 * is not, 32 bytes are fetched when it begins, as how many are wanted is known at its end only.
 */
#include <linux/gpio/driver.h>
#include <linux/i2c.h>
#include <linux/module.h>
#include <linux/mutex.h>

static int adapter_number;
module_param_named(adapter, adapter_number, int, 0444);
MODULE_PARM_DESC(adapter, "number of the adapter whose chips are at the wires");
static int stretch;
module_param(stretch, int, 0644);
MODULE_PARM_DESC(stretch, "how often the clock is seen low after each byte; -1 for ever");

enum { SDA, SCL };
enum phase { IDLE, ADDRESS, WRITING, READING, IGNORING };

static struct {
	struct mutex lock;
	struct i2c_adapter *adapter;
	/* What each side does: 1 is letting go. */
	int master[2], chip_data, stretching;
	enum phase phase;
	/* Of the byte; the ninth pulse is its acknowledgement. */
	int pulses;
	u8 byte, address;
	u8 bytes[256];
	int count;
} wires;

static int level(int line)
{
	return wires.master[line] && (line == SDA ? wires.chip_data : wires.stretching == 0);
}

/* A message of the master is complete. */
static void finish(void)
{
	struct i2c_msg message = { .addr = wires.address, .len = wires.count, .buf = wires.bytes };

	if (wires.phase == WRITING && wires.count)
		i2c_transfer(wires.adapter, &message, 1);
	wires.count = 0;
}

/* An address or a byte has come. Returns 1 to acknowledge it. */
static int take(void)
{
	struct i2c_msg message = { .addr = wires.byte >> 1, .buf = wires.bytes };

	if (wires.phase == WRITING) {
		if (wires.count == sizeof(wires.bytes))
			return 0;
		wires.bytes[wires.count++] = wires.byte;
		return 1;
	}
	if (wires.byte & 1) {
		message.flags = I2C_M_RD;
		message.len = 32;
	}
	wires.address = message.addr;
	wires.count = 0;
	if (i2c_transfer(wires.adapter, &message, 1) == 1)
		return 1;
	wires.phase = IGNORING;
	return 0;
}

static void give_bit(void)
{
	wires.chip_data = wires.pulses >= 8 || (wires.bytes[wires.count] >> (7 - wires.pulses) & 1);
}

static void clock_rose(void)
{
	wires.pulses++;
	if ((wires.phase == ADDRESS || wires.phase == WRITING) && wires.pulses <= 8)
		wires.byte = wires.byte << 1 | level(SDA);
	if (wires.phase == READING && wires.pulses == 9 && level(SDA))
		wires.phase = IGNORING;
}

static void clock_fell(void)
{
	switch (wires.phase) {
	case ADDRESS:
	case WRITING:
		if (wires.pulses == 8) {
			wires.chip_data = !take();
			wires.stretching = stretch;
		} else if (wires.pulses == 9) {
			wires.chip_data = 1;
			wires.pulses = 0;
			if (wires.phase == ADDRESS)
				wires.phase = wires.byte & 1 ? READING : WRITING;
			if (wires.phase == READING)
				give_bit();
		}
		break;
	case READING:
		if (wires.pulses == 9) {
			wires.pulses = 0;
			wires.count = (wires.count + 1) % sizeof(wires.bytes);
		}
		give_bit();
		break;
	default:
		wires.chip_data = 1;
	}
}

static void moved(int sda, int scl)
{
	if (scl && level(SCL) && sda != level(SDA)) {
		finish();
		wires.phase = level(SDA) ? IDLE : ADDRESS;
		/* The clock falls once more before the first bit. */
		wires.pulses = 0;
		wires.chip_data = 1;
	} else if (!scl && level(SCL)) {
		clock_rose();
	} else if (scl && !level(SCL)) {
		clock_fell();
	}
}

static void put(unsigned int line, int value)
{
	int sda, scl;

	mutex_lock(&wires.lock);
	sda = level(SDA);
	scl = level(SCL);
	wires.master[line] = value;
	moved(sda, scl);
	mutex_unlock(&wires.lock);
}

static int wires_get(struct gpio_chip *chip, unsigned int line)
{
	int result;

	mutex_lock(&wires.lock);
	result = level(line);
	if (line == SCL && wires.master[SCL] && wires.stretching > 0 && --wires.stretching == 0)
		moved(level(SDA), 0);
	mutex_unlock(&wires.lock);
	return result;
}

static void wires_set(struct gpio_chip *chip, unsigned int line, int value)
{
	put(line, value);
}

static int wires_input(struct gpio_chip *chip, unsigned int line)
{
	put(line, 1);
	return 0;
}

static int wires_output(struct gpio_chip *chip, unsigned int line, int value)
{
	put(line, value);
	return 0;
}

static int wires_direction(struct gpio_chip *chip, unsigned int line)
{
	return wires.master[line] ? GPIO_LINE_DIRECTION_IN : GPIO_LINE_DIRECTION_OUT;
}

static struct gpio_chip chip = {
	.label = "lab-wires",
	.owner = THIS_MODULE,
	.base = -1,
	.ngpio = 2,
	.can_sleep = true,
	.get = wires_get,
	.set = wires_set,
	.direction_input = wires_input,
	.direction_output = wires_output,
	.get_direction = wires_direction,
};

static int __init wires_init(void)
{
	int result;

	mutex_init(&wires.lock);
	wires.master[SDA] = wires.master[SCL] = wires.chip_data = 1;
	wires.adapter = i2c_get_adapter(adapter_number);
	if (!wires.adapter)
		return -ENODEV;
	result = gpiochip_add_data(&chip, NULL);
	if (result)
		i2c_put_adapter(wires.adapter);
	return result;
}

static void __exit wires_exit(void)
{
	gpiochip_remove(&chip);
	i2c_put_adapter(wires.adapter);
}

module_init(wires_init);
module_exit(wires_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Two GPIO lines as the wires of an I2C bus");
