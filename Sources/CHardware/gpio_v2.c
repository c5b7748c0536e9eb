// libgpiod 2.x
#include "CHardware.h"

#include <gpiod.h>

#ifndef GPIOD_LINE_BULK_MAX_LINES // only 1.x has it

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { kept_events = 1024 };

struct sh_gpio_lines {
    struct gpiod_line_request *request;
    struct gpiod_edge_event_buffer *buffer;
    size_t count;
    int has_edges;
    unsigned offsets[SH_GPIO_MAX_LINES];
};

static void copy(char *out, const char *text) {
    if (text) strncpy(out, text, SH_GPIO_TEXT - 1);
}

const char *sh_gpio_library(void) { return gpiod_api_version(); }

sh_gpio_chip *sh_gpio_chip_open(const char *path) { return (sh_gpio_chip *)gpiod_chip_open(path); }

void sh_gpio_chip_close(sh_gpio_chip *chip) { gpiod_chip_close((struct gpiod_chip *)chip); }

int sh_gpio_get_chip_info(sh_gpio_chip *chip, sh_gpio_chip_info *out) {
    struct gpiod_chip_info *info = gpiod_chip_get_info((struct gpiod_chip *)chip);
    if (!info) return -1;
    memset(out, 0, sizeof *out);
    copy(out->name, gpiod_chip_info_get_name(info));
    copy(out->label, gpiod_chip_info_get_label(info));
    out->line_count = (unsigned)gpiod_chip_info_get_num_lines(info);
    gpiod_chip_info_free(info);
    return 0;
}

int sh_gpio_get_line_info(sh_gpio_chip *chip, unsigned offset, sh_gpio_line_info *out) {
    struct gpiod_line_info *info = gpiod_chip_get_line_info((struct gpiod_chip *)chip, offset);
    if (!info) return -1;
    memset(out, 0, sizeof *out);
    copy(out->name, gpiod_line_info_get_name(info));
    copy(out->consumer, gpiod_line_info_get_consumer(info));
    out->is_used = gpiod_line_info_is_used(info);
    out->is_output = gpiod_line_info_get_direction(info) == GPIOD_LINE_DIRECTION_OUTPUT;
    out->is_active_low = gpiod_line_info_is_active_low(info);
    gpiod_line_info_free(info);
    return 0;
}

static int apply(struct gpiod_line_settings *to, const sh_gpio_settings *from) {
    static const enum gpiod_line_edge edges[] = {
        GPIOD_LINE_EDGE_NONE, GPIOD_LINE_EDGE_RISING, GPIOD_LINE_EDGE_FALLING, GPIOD_LINE_EDGE_BOTH};
    static const enum gpiod_line_bias biases[] = {
        GPIOD_LINE_BIAS_AS_IS, GPIOD_LINE_BIAS_DISABLED, GPIOD_LINE_BIAS_PULL_UP, GPIOD_LINE_BIAS_PULL_DOWN};
    static const enum gpiod_line_drive drives[] = {
        GPIOD_LINE_DRIVE_PUSH_PULL, GPIOD_LINE_DRIVE_OPEN_DRAIN, GPIOD_LINE_DRIVE_OPEN_SOURCE};
    gpiod_line_settings_set_active_low(to, from->is_active_low != 0);
    if (gpiod_line_settings_set_bias(to, biases[from->bias]) < 0) return -1;
    if (from->direction == SH_GPIO_OUTPUT)
        return gpiod_line_settings_set_direction(to, GPIOD_LINE_DIRECTION_OUTPUT) < 0 ||
                       gpiod_line_settings_set_drive(to, drives[from->drive]) < 0
                   ? -1
                   : 0;
    return gpiod_line_settings_set_direction(to, GPIOD_LINE_DIRECTION_INPUT) < 0 ||
                   gpiod_line_settings_set_edge_detection(to, edges[from->edges]) < 0
               ? -1
               : 0;
}

static struct gpiod_line_request *request(struct gpiod_chip *chip, const unsigned *offsets, size_t count,
                                          const sh_gpio_settings *wanted, const uint8_t *values) {
    struct gpiod_line_request *result = NULL;
    struct gpiod_line_settings *settings = gpiod_line_settings_new();
    struct gpiod_line_config *lines = gpiod_line_config_new();
    struct gpiod_request_config *config = gpiod_request_config_new();
    int code = ENOMEM;
    if (!settings || !lines || !config) goto done;
    gpiod_request_config_set_consumer(config, wanted->consumer);
    gpiod_request_config_set_event_buffer_size(config, kept_events);
    if (apply(settings, wanted) < 0 || gpiod_line_config_add_line_settings(lines, offsets, count, settings) < 0)
        goto failed;
    if (wanted->direction == SH_GPIO_OUTPUT) {
        enum gpiod_line_value first[SH_GPIO_MAX_LINES];
        for (size_t i = 0; i < count; i++)
            first[i] = values && values[i] ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE;
        if (gpiod_line_config_set_output_values(lines, first, count) < 0) goto failed;
    }
    result = gpiod_chip_request_lines(chip, config, lines);

failed:
    code = errno;
done:
    gpiod_request_config_free(config);
    gpiod_line_config_free(lines);
    gpiod_line_settings_free(settings);
    errno = code;
    return result;
}

sh_gpio_lines *sh_gpio_request(sh_gpio_chip *chip, const unsigned *offsets, size_t count,
                               const sh_gpio_settings *settings, const uint8_t *values) {
    if (count == 0 || count > SH_GPIO_MAX_LINES) {
        errno = EINVAL;
        return NULL;
    }
    sh_gpio_lines *lines = calloc(1, sizeof *lines);
    if (!lines) return NULL;
    lines->count = count;
    lines->has_edges = settings->direction == SH_GPIO_INPUT && settings->edges != SH_GPIO_EDGES_NONE;
    memcpy(lines->offsets, offsets, count * sizeof *offsets);
    if (lines->has_edges && !(lines->buffer = gpiod_edge_event_buffer_new(64))) goto failed;
    lines->request = request((struct gpiod_chip *)chip, offsets, count, settings, values);
    if (lines->request) return lines;

failed:;
    int code = errno;
    gpiod_edge_event_buffer_free(lines->buffer);
    free(lines);
    errno = code;
    return NULL;
}

void sh_gpio_release(sh_gpio_lines *lines) {
    gpiod_line_request_release(lines->request);
    gpiod_edge_event_buffer_free(lines->buffer);
    free(lines);
}

int sh_gpio_get_values(sh_gpio_lines *lines, uint8_t *values) {
    enum gpiod_line_value found[SH_GPIO_MAX_LINES];
    if (gpiod_line_request_get_values(lines->request, found) < 0) return -1;
    for (size_t i = 0; i < lines->count; i++) values[i] = found[i] == GPIOD_LINE_VALUE_ACTIVE;
    return 0;
}

int sh_gpio_set_values(sh_gpio_lines *lines, const uint8_t *values) {
    enum gpiod_line_value wanted[SH_GPIO_MAX_LINES];
    for (size_t i = 0; i < lines->count; i++)
        wanted[i] = values[i] ? GPIOD_LINE_VALUE_ACTIVE : GPIOD_LINE_VALUE_INACTIVE;
    return gpiod_line_request_set_values(lines->request, wanted) < 0 ? -1 : 0;
}

size_t sh_gpio_descriptors(sh_gpio_lines *lines, int *out, size_t count) {
    if (!lines->has_edges || count == 0) return 0;
    out[0] = gpiod_line_request_get_fd(lines->request);
    return 1;
}

static unsigned index_of(const sh_gpio_lines *lines, unsigned offset) {
    unsigned index = 0;
    while (index + 1 < lines->count && lines->offsets[index] != offset) index++;
    return index;
}

ptrdiff_t sh_gpio_read_events(sh_gpio_lines *lines, sh_gpio_event *out, size_t room) {
    size_t total = 0;
    size_t capacity = lines->has_edges ? gpiod_edge_event_buffer_get_capacity(lines->buffer) : 0;
    struct pollfd waiting = {.fd = gpiod_line_request_get_fd(lines->request), .events = POLLIN};
    while (lines->has_edges && total < room) {
        int ready = poll(&waiting, 1, 0);
        if (ready < 0 && errno != EINTR) return -1;
        if (ready <= 0) break;
        size_t wanted = room - total < capacity ? room - total : capacity;
        int count = gpiod_line_request_read_edge_events(lines->request, lines->buffer, wanted);
        if (count < 0) return -1;
        for (int e = 0; e < count; e++) {
            struct gpiod_edge_event *event = gpiod_edge_event_buffer_get_event(lines->buffer, (unsigned long)e);
            out[total++] = (sh_gpio_event){
                .index = index_of(lines, gpiod_edge_event_get_line_offset(event)),
                .is_rising = gpiod_edge_event_get_event_type(event) == GPIOD_EDGE_EVENT_RISING_EDGE,
                .nanoseconds = gpiod_edge_event_get_timestamp_ns(event),
                .number = gpiod_edge_event_get_line_seqno(event),
            };
        }
        if (count < (int)wanted) break;
    }
    return (ptrdiff_t)total;
}

#endif
