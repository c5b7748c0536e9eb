// SPDX-License-Identifier: GPL-2.0
/*
 * I2C adapters whose chips are programs: for tests of drivers without the hardware.
 *
 * A program opens /dev/i2c-lab and writes `struct lab_setup`: there is a new adapter then, with the name that it asked
 * for. What anybody transfers over the adapter the program reads as a request, and answers with a reply. When it closes
 * the file, the adapter is gone, as with an adapter on USB that is pulled out.
 *
 *   request:  lab_request, then for each message lab_message, and for a write its bytes
 *   reply:    lab_reply, then the bytes of all messages that read, one after the other
 *
 * A transfer without a reply ends with ETIMEDOUT, one over an adapter that is gone with ENXIO.
 */
#include <linux/fs.h>
#include <linux/i2c.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

#define LAB_BYTES 32768

struct lab_setup {
	__u32 timeout_ms;
	/* Not 0: an adapter that knows SMBus transactions only, as that of a PC's chipset. */
	__u32 smbus_only;
	char name[40];
} __packed;

struct lab_request {
	__u32 number;
	__u16 messages;
} __packed;

struct lab_message {
	__u16 address, flags, length;
} __packed;

struct lab_reply {
	__u32 number;
	/* 0, or what the transfer fails with, as -EREMOTEIO. */
	__s32 result;
} __packed;

enum lab_state { LAB_IDLE, LAB_ASKED, LAB_TAKEN, LAB_ANSWERED };

struct lab_bus {
	struct i2c_adapter adapter;
	struct work_struct removal;
	wait_queue_head_t changed;
	/* Guards what follows. */
	struct mutex lock;
	bool is_set_up, is_gone;
	enum lab_state state;
	__u32 number, timeout_ms;
	size_t request_bytes, reply_bytes;
	__u8 request[LAB_BYTES], reply[LAB_BYTES];
};

static void lab_set_state(struct lab_bus *bus, enum lab_state state)
{
	WRITE_ONCE(bus->state, state);
	wake_up_all(&bus->changed);
}

/* With the lock held. */
static int lab_put_request(struct lab_bus *bus, struct i2c_msg *messages, int count)
{
	struct lab_request head = { .number = ++bus->number, .messages = count };
	__u8 *end = bus->request;
	int i;

	memcpy(end, &head, sizeof(head));
	end += sizeof(head);
	for (i = 0; i < count; i++) {
		struct lab_message message = { messages[i].addr, messages[i].flags, messages[i].len };
		size_t bytes = messages[i].flags & I2C_M_RD ? 0 : messages[i].len;

		if (end - bus->request + sizeof(message) + bytes > LAB_BYTES)
			return -EOPNOTSUPP;
		memcpy(end, &message, sizeof(message));
		end += sizeof(message);
		memcpy(end, messages[i].buf, bytes);
		end += bytes;
	}
	bus->request_bytes = end - bus->request;
	return 0;
}

/* With the lock held. */
static int lab_take_reply(struct lab_bus *bus, struct i2c_msg *messages, int count)
{
	struct lab_reply head;
	__u8 *at = bus->reply + sizeof(head);
	int i;

	memcpy(&head, bus->reply, sizeof(head));
	if (head.result < 0)
		return head.result;
	for (i = 0; i < count; i++) {
		if (!(messages[i].flags & I2C_M_RD))
			continue;
		if (at - bus->reply + messages[i].len > bus->reply_bytes)
			return -EIO;
		memcpy(messages[i].buf, at, messages[i].len);
		at += messages[i].len;
	}
	return count;
}

/* The I2C core calls for one transfer at a time. */
static int lab_transfer(struct i2c_adapter *adapter, struct i2c_msg *messages, int count)
{
	struct lab_bus *bus = i2c_get_adapdata(adapter);
	unsigned int timeout_ms;
	int result;

	mutex_lock(&bus->lock);
	result = bus->is_gone ? -ENXIO : lab_put_request(bus, messages, count);
	timeout_ms = bus->timeout_ms;
	if (!result)
		lab_set_state(bus, LAB_ASKED);
	mutex_unlock(&bus->lock);
	if (result)
		return result;

	wait_event_timeout(bus->changed, READ_ONCE(bus->state) == LAB_ANSWERED || READ_ONCE(bus->is_gone),
			   msecs_to_jiffies(timeout_ms));

	mutex_lock(&bus->lock);
	if (bus->state == LAB_ANSWERED)
		result = lab_take_reply(bus, messages, count);
	else
		result = bus->is_gone ? -ENXIO : -ETIMEDOUT;
	lab_set_state(bus, LAB_IDLE);
	mutex_unlock(&bus->lock);
	return result;
}

static u32 lab_functionality(struct i2c_adapter *adapter)
{
	return I2C_FUNC_I2C | I2C_FUNC_SMBUS_EMUL;
}

static const struct i2c_algorithm lab_algorithm = {
	.master_xfer = lab_transfer,
	.functionality = lab_functionality,
};

/* The messages that each transaction stands for are in the SMBus specification. */
static int lab_smbus_transfer(struct i2c_adapter *adapter, u16 address, unsigned short flags, char direction,
			      u8 command, int size, union i2c_smbus_data *data)
{
	bool reads = direction == I2C_SMBUS_READ;
	u8 out[I2C_SMBUS_BLOCK_MAX + 1] = { command }, in[I2C_SMBUS_BLOCK_MAX] = { 0 };
	struct i2c_msg messages[2] = {
		{ .addr = address, .len = 1, .buf = out },
		{ .addr = address, .flags = I2C_M_RD, .buf = in },
	};
	int count = reads ? 2 : 1, first = 0, result;

	switch (size) {
	case I2C_SMBUS_QUICK:
		messages[0].len = 0;
		messages[0].flags = reads ? I2C_M_RD : 0;
		count = 1;
		break;
	case I2C_SMBUS_BYTE:
		messages[1].len = 1;
		first = reads ? 1 : 0;
		count = 1;
		break;
	case I2C_SMBUS_BYTE_DATA:
		out[1] = data->byte;
		messages[0].len = reads ? 1 : 2;
		messages[1].len = 1;
		break;
	case I2C_SMBUS_WORD_DATA:
		out[1] = data->word & 0xff;
		out[2] = data->word >> 8;
		messages[0].len = reads ? 1 : 3;
		messages[1].len = 2;
		break;
	case I2C_SMBUS_I2C_BLOCK_DATA:
		if (data->block[0] < 1 || data->block[0] > I2C_SMBUS_BLOCK_MAX)
			return -EINVAL;
		memcpy(out + 1, data->block + 1, data->block[0]);
		messages[0].len = reads ? 1 : data->block[0] + 1;
		messages[1].len = data->block[0];
		break;
	default:
		return -EOPNOTSUPP;
	}
	result = lab_transfer(adapter, messages + first, count);
	if (result < 0 || !reads || size == I2C_SMBUS_QUICK)
		return result < 0 ? result : 0;
	if (size == I2C_SMBUS_WORD_DATA)
		data->word = in[0] | in[1] << 8;
	else if (size == I2C_SMBUS_I2C_BLOCK_DATA)
		memcpy(data->block + 1, in, data->block[0]);
	else
		data->byte = in[0];
	return 0;
}

static u32 lab_smbus_functionality(struct i2c_adapter *adapter)
{
	return I2C_FUNC_SMBUS_QUICK | I2C_FUNC_SMBUS_BYTE | I2C_FUNC_SMBUS_BYTE_DATA | I2C_FUNC_SMBUS_WORD_DATA |
	       I2C_FUNC_SMBUS_I2C_BLOCK;
}

static const struct i2c_algorithm lab_smbus_algorithm = {
	.smbus_xfer = lab_smbus_transfer,
	.functionality = lab_smbus_functionality,
};

/* Waits until nobody has the adapter open any more, which is not the closing program's business. */
static void lab_remove(struct work_struct *work)
{
	struct lab_bus *bus = container_of(work, struct lab_bus, removal);

	i2c_del_adapter(&bus->adapter);
	kvfree(bus);
	module_put(THIS_MODULE);
}

static int lab_open(struct inode *inode, struct file *file)
{
	struct lab_bus *bus = kvzalloc(sizeof(*bus), GFP_KERNEL);

	if (!bus)
		return -ENOMEM;
	init_waitqueue_head(&bus->changed);
	mutex_init(&bus->lock);
	INIT_WORK(&bus->removal, lab_remove);
	file->private_data = bus;
	return 0;
}

static int lab_release(struct inode *inode, struct file *file)
{
	struct lab_bus *bus = file->private_data;

	if (!bus->is_set_up) {
		kvfree(bus);
		return 0;
	}
	mutex_lock(&bus->lock);
	WRITE_ONCE(bus->is_gone, true);
	wake_up_all(&bus->changed);
	mutex_unlock(&bus->lock);
	__module_get(THIS_MODULE);
	queue_work(system_unbound_wq, &bus->removal);
	return 0;
}

/* With the lock held. */
static int lab_set_up(struct lab_bus *bus, const char __user *buffer, size_t count)
{
	struct lab_setup setup;
	int result;

	if (count != sizeof(setup))
		return -EINVAL;
	if (copy_from_user(&setup, buffer, sizeof(setup)))
		return -EFAULT;
	if (setup.name[sizeof(setup.name) - 1])
		return -EINVAL;
	bus->timeout_ms = setup.timeout_ms;
	bus->adapter.owner = THIS_MODULE;
	bus->adapter.algo = setup.smbus_only ? &lab_smbus_algorithm : &lab_algorithm;
	strscpy(bus->adapter.name, setup.name, sizeof(bus->adapter.name));
	i2c_set_adapdata(&bus->adapter, bus);
	result = i2c_add_adapter(&bus->adapter);
	bus->is_set_up = !result;
	return result;
}

static ssize_t lab_write(struct file *file, const char __user *buffer, size_t count, loff_t *offset)
{
	struct lab_bus *bus = file->private_data;
	struct lab_reply head;
	ssize_t result = count;

	mutex_lock(&bus->lock);
	if (!bus->is_set_up) {
		int error = lab_set_up(bus, buffer, count);

		result = error ? error : result;
	} else if (count < sizeof(head) || count > LAB_BYTES) {
		result = -EINVAL;
	} else if (copy_from_user(bus->reply, buffer, count)) {
		result = -EFAULT;
	} else {
		memcpy(&head, bus->reply, sizeof(head));
		if (bus->state == LAB_TAKEN && head.number == bus->number) {
			bus->reply_bytes = count;
			lab_set_state(bus, LAB_ANSWERED);
		} else {
			/* Nobody waits for it any more. */
			result = -ESTALE;
		}
	}
	mutex_unlock(&bus->lock);
	return result;
}

static ssize_t lab_read(struct file *file, char __user *buffer, size_t count, loff_t *offset)
{
	struct lab_bus *bus = file->private_data;
	ssize_t result;

	for (;;) {
		mutex_lock(&bus->lock);
		if (bus->state == LAB_ASKED)
			break;
		mutex_unlock(&bus->lock);
		if (file->f_flags & O_NONBLOCK)
			return -EAGAIN;
		result = wait_event_interruptible(bus->changed, READ_ONCE(bus->state) == LAB_ASKED);
		if (result)
			return result;
	}
	result = bus->request_bytes;
	if (count < bus->request_bytes)
		result = -EMSGSIZE;
	else if (copy_to_user(buffer, bus->request, bus->request_bytes))
		result = -EFAULT;
	else
		lab_set_state(bus, LAB_TAKEN);
	mutex_unlock(&bus->lock);
	return result;
}

static __poll_t lab_poll(struct file *file, poll_table *table)
{
	struct lab_bus *bus = file->private_data;

	poll_wait(file, &bus->changed, table);
	return READ_ONCE(bus->state) == LAB_ASKED ? EPOLLIN | EPOLLRDNORM : 0;
}

static const struct file_operations lab_files = {
	.owner = THIS_MODULE,
	.open = lab_open,
	.release = lab_release,
	.read = lab_read,
	.write = lab_write,
	.poll = lab_poll,
};

static struct miscdevice lab_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "i2c-lab",
	.fops = &lab_files,
};

module_misc_device(lab_device);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("I2C adapters whose chips are programs");
