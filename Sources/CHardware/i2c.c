#include "CHardware.h"

#include <errno.h>
#include <linux/i2c-dev.h>
#include <linux/i2c.h>
#include <string.h>
#include <sys/ioctl.h>

enum { max_messages = 42 /* I2C_RDWR_IOCTL_MAX_MSGS */ };

int sh_i2c_is_raw(int descriptor, int *is_raw) {
    unsigned long functions = 0;
    if (ioctl(descriptor, I2C_FUNCS, &functions) < 0) return -1;
    *is_raw = (functions & I2C_FUNC_I2C) != 0;
    return 0;
}

int sh_i2c_transfer(int descriptor, uint8_t address, const sh_i2c_message *messages, size_t count) {
    if (count == 0 || count > max_messages) {
        errno = EINVAL;
        return -1;
    }
    struct i2c_msg list[max_messages];
    for (size_t i = 0; i < count; i++) {
        list[i].addr = address;
        list[i].flags = messages[i].is_read ? I2C_M_RD : 0;
        list[i].len = messages[i].count;
        list[i].buf = messages[i].bytes;
    }
    struct i2c_rdwr_ioctl_data transfer = {.msgs = list, .nmsgs = (uint32_t)count};
    return ioctl(descriptor, I2C_RDWR, &transfer) < 0 ? -1 : 0;
}

static int smbus(int descriptor, uint8_t direction, uint8_t command, uint32_t size, union i2c_smbus_data *data) {
    struct i2c_smbus_ioctl_data transaction = {
        .read_write = direction, .command = command, .size = size, .data = data};
    return ioctl(descriptor, I2C_SMBUS, &transaction) < 0 ? -1 : 0;
}

static int smbus_write(int descriptor, const sh_i2c_message *message) {
    const uint8_t *bytes = message->bytes;
    union i2c_smbus_data data;
    switch (message->count) {
    case 1: return smbus(descriptor, I2C_SMBUS_WRITE, bytes[0], I2C_SMBUS_BYTE, NULL);
    case 2:
        data.byte = bytes[1];
        return smbus(descriptor, I2C_SMBUS_WRITE, bytes[0], I2C_SMBUS_BYTE_DATA, &data);
    default:
        if (message->count == 0 || message->count > I2C_SMBUS_BLOCK_MAX + 1) break;
        data.block[0] = (uint8_t)(message->count - 1);
        memcpy(data.block + 1, bytes + 1, data.block[0]);
        return smbus(descriptor, I2C_SMBUS_WRITE, bytes[0], I2C_SMBUS_I2C_BLOCK_DATA, &data);
    }
    errno = ENOTSUP;
    return -1;
}

static int smbus_read(int descriptor, uint8_t command, const sh_i2c_message *message) {
    union i2c_smbus_data data;
    if (message->count == 1) {
        if (smbus(descriptor, I2C_SMBUS_READ, command, I2C_SMBUS_BYTE_DATA, &data) < 0) return -1;
        message->bytes[0] = data.byte;
        return 0;
    }
    if (message->count == 2) {
        if (smbus(descriptor, I2C_SMBUS_READ, command, I2C_SMBUS_WORD_DATA, &data) < 0) return -1;
        // The one that came first is the lower half.
        message->bytes[0] = (uint8_t)data.word;
        message->bytes[1] = (uint8_t)(data.word >> 8);
        return 0;
    }
    if (message->count == 0 || message->count > I2C_SMBUS_BLOCK_MAX) {
        errno = ENOTSUP;
        return -1;
    }
    data.block[0] = (uint8_t)message->count;
    if (smbus(descriptor, I2C_SMBUS_READ, command, I2C_SMBUS_I2C_BLOCK_DATA, &data) < 0) return -1;
    memcpy(message->bytes, data.block + 1, message->count);
    return 0;
}

int sh_i2c_smbus_transfer(int descriptor, uint8_t address, const sh_i2c_message *messages, size_t count) {
    // Refused with EBUSY while a driver of the kernel has the chip.
    if (ioctl(descriptor, I2C_SLAVE, (unsigned long)address) < 0) return -1;
    if (count == 1 && !messages[0].is_read) return smbus_write(descriptor, &messages[0]);
    if (count == 1 && messages[0].count == 1) {
        union i2c_smbus_data data;
        if (smbus(descriptor, I2C_SMBUS_READ, 0, I2C_SMBUS_BYTE, &data) < 0) return -1;
        messages[0].bytes[0] = data.byte;
        return 0;
    }
    if (count == 2 && !messages[0].is_read && messages[0].count == 1 && messages[1].is_read)
        return smbus_read(descriptor, messages[0].bytes[0], &messages[1]);
    errno = ENOTSUP;
    return -1;
}

int sh_i2c_probe(int descriptor, uint8_t address) {
    if (ioctl(descriptor, I2C_SLAVE, (unsigned long)address) < 0) return -1;
    // A message without bytes could make an EEPROM write, and a read turn a clock generator off.
    int is_read = (address >= 0x30 && address <= 0x37) || (address >= 0x50 && address <= 0x5F);
    union i2c_smbus_data data;
    return is_read ? smbus(descriptor, I2C_SMBUS_READ, 0, I2C_SMBUS_BYTE, &data)
                   : smbus(descriptor, I2C_SMBUS_WRITE, 0, I2C_SMBUS_QUICK, NULL);
}
