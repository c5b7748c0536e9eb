/// What Swift cannot say of Linux's hardware interfaces: ioctls of I2C adapters, and one face for both of libgpiod's
/// (1.6 in Debian 12, 2.x in Debian 13). Unless stated otherwise a function returns 0, or -1 with `errno`.
#pragma once
#include <stddef.h>
#include <stdint.h>

// MARK: I2C, see linux/i2c-dev.h

/// One message of a transfer: reads into `bytes`, or writes them.
typedef struct {
    uint8_t *bytes;
    uint16_t count;
    uint8_t is_read;
} sh_i2c_message;

/// Whether the adapter can do any transfer (1), or SMBus transactions only (0).
int sh_i2c_is_raw(int descriptor, int *is_raw);
/// All messages in one transaction (I2C_RDWR), at most 42.
int sh_i2c_transfer(int descriptor, uint8_t address, const sh_i2c_message *messages, size_t count);
/// The same as SMBus transaction, for adapters that know no other. ENOTSUP where there is none for such messages.
int sh_i2c_smbus_transfer(int descriptor, uint8_t address, const sh_i2c_message *messages, size_t count);
/// Whether a chip acknowledges its address. As i2cdetect does: by a read where a write could do harm.
int sh_i2c_probe(int descriptor, uint8_t address);

// MARK: GPIO

enum { SH_GPIO_TEXT = 64, SH_GPIO_MAX_LINES = 64 };

typedef struct sh_gpio_chip sh_gpio_chip;
/// Lines that are held; nobody else can take them until they are released.
typedef struct sh_gpio_lines sh_gpio_lines;

typedef struct {
    char name[SH_GPIO_TEXT];
    char label[SH_GPIO_TEXT];
    unsigned line_count;
} sh_gpio_chip_info;

typedef struct {
    /// Empty for a line without a name.
    char name[SH_GPIO_TEXT];
    /// Who holds it; empty where nobody does, or does not say.
    char consumer[SH_GPIO_TEXT];
    uint8_t is_used, is_output, is_active_low;
} sh_gpio_line_info;

enum { SH_GPIO_INPUT, SH_GPIO_OUTPUT };
enum { SH_GPIO_EDGES_NONE, SH_GPIO_EDGES_RISING, SH_GPIO_EDGES_FALLING, SH_GPIO_EDGES_BOTH };
enum { SH_GPIO_BIAS_AS_IS, SH_GPIO_BIAS_DISABLED, SH_GPIO_BIAS_PULL_UP, SH_GPIO_BIAS_PULL_DOWN };
enum { SH_GPIO_PUSH_PULL, SH_GPIO_OPEN_DRAIN, SH_GPIO_OPEN_SOURCE };

typedef struct {
    int direction, edges, bias, drive;
    int is_active_low;
    const char *consumer;
} sh_gpio_settings;

typedef struct {
    /// Of the line, among those that were requested.
    unsigned index;
    int is_rising;
    /// CLOCK_MONOTONIC, taken by the kernel in the interrupt.
    uint64_t nanoseconds;
    /// Counts the line's edges from 1, those that were lost included; 0 where libgpiod does not tell.
    uint64_t number;
    /// How many edges of the line before this one were dropped because nobody took them. More may have been lost in the
    /// kernel; where there is a `number` it tells of all, and this is 0.
    uint64_t dropped;
} sh_gpio_event;

/// libgpiod's version, as "1.6.3".
const char *sh_gpio_library(void);

/// NULL with `errno`: ENODEV where `path` is no GPIO chip.
sh_gpio_chip *sh_gpio_chip_open(const char *path);
void sh_gpio_chip_close(sh_gpio_chip *chip);
int sh_gpio_get_chip_info(sh_gpio_chip *chip, sh_gpio_chip_info *out);
int sh_gpio_get_line_info(sh_gpio_chip *chip, unsigned offset, sh_gpio_line_info *out);

/// Takes `count` lines; `values` are an output's first ones. NULL with `errno`: EBUSY where one is held by somebody. The
/// chip can be closed when the lines are released.
sh_gpio_lines *sh_gpio_request(sh_gpio_chip *chip, const unsigned *offsets, size_t count,
                               const sh_gpio_settings *settings, const uint8_t *values);
/// The kernel then does with outputs what the chip's driver does: most keep their level.
void sh_gpio_release(sh_gpio_lines *lines);
int sh_gpio_get_values(sh_gpio_lines *lines, uint8_t *values);
int sh_gpio_set_values(sh_gpio_lines *lines, const uint8_t *values);
/// Descriptors that are readable while edges wait; returns how many, at most `count`.
size_t sh_gpio_descriptors(sh_gpio_lines *lines, int *out, size_t count);
/// Takes edges that wait, and does not wait for more; returns how many, or -1 with `errno`. Those of several lines are
/// not in order of time.
ptrdiff_t sh_gpio_read_events(sh_gpio_lines *lines, sh_gpio_event *out, size_t room);

#include "edge_reader.h"
