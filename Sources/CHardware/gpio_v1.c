// libgpiod 1.6, whose lines with edges each have a descriptor of their own. The kernel keeps 16 edges for each, so that
// they are read by a thread.
#include "CHardware.h"

#include <gpiod.h>

#ifdef GPIOD_LINE_BULK_MAX_LINES // only 1.x has it

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

struct sh_gpio_lines {
    struct gpiod_line_bulk bulk;
    /// NULL where no edges are wanted.
    sh_edge_reader *edges;
};

static void copy(char *out, const char *text) {
    if (text) strncpy(out, text, SH_GPIO_TEXT - 1);
}

const char *sh_gpio_library(void) { return gpiod_version_string(); }

sh_gpio_chip *sh_gpio_chip_open(const char *path) {
    sh_gpio_chip *chip = (sh_gpio_chip *)gpiod_chip_open(path);
    if (!chip && errno == ENOTTY) errno = ENODEV;
    return chip;
}

void sh_gpio_chip_close(sh_gpio_chip *chip) { gpiod_chip_close((struct gpiod_chip *)chip); }

int sh_gpio_get_chip_info(sh_gpio_chip *given, sh_gpio_chip_info *out) {
    struct gpiod_chip *chip = (struct gpiod_chip *)given;
    memset(out, 0, sizeof *out);
    copy(out->name, gpiod_chip_name(chip));
    copy(out->label, gpiod_chip_label(chip));
    out->line_count = gpiod_chip_num_lines(chip);
    return 0;
}

int sh_gpio_get_line_info(sh_gpio_chip *chip, unsigned offset, sh_gpio_line_info *out) {
    struct gpiod_line *line = gpiod_chip_get_line((struct gpiod_chip *)chip, offset);
    if (!line || gpiod_line_update(line) < 0) return -1;
    memset(out, 0, sizeof *out);
    copy(out->name, gpiod_line_name(line));
    copy(out->consumer, gpiod_line_consumer(line));
    out->is_used = gpiod_line_is_used(line);
    out->is_output = gpiod_line_direction(line) == GPIOD_LINE_DIRECTION_OUTPUT;
    out->is_active_low = gpiod_line_active_state(line) == GPIOD_LINE_ACTIVE_STATE_LOW;
    return 0;
}

static int request_type(const sh_gpio_settings *settings) {
    if (settings->direction == SH_GPIO_OUTPUT) return GPIOD_LINE_REQUEST_DIRECTION_OUTPUT;
    switch (settings->edges) {
    case SH_GPIO_EDGES_RISING: return GPIOD_LINE_REQUEST_EVENT_RISING_EDGE;
    case SH_GPIO_EDGES_FALLING: return GPIOD_LINE_REQUEST_EVENT_FALLING_EDGE;
    case SH_GPIO_EDGES_BOTH: return GPIOD_LINE_REQUEST_EVENT_BOTH_EDGES;
    default: return GPIOD_LINE_REQUEST_DIRECTION_INPUT;
    }
}

static int request_flags(const sh_gpio_settings *settings) {
    int flags = settings->is_active_low ? GPIOD_LINE_REQUEST_FLAG_ACTIVE_LOW : 0;
    switch (settings->bias) {
    case SH_GPIO_BIAS_DISABLED: flags |= GPIOD_LINE_REQUEST_FLAG_BIAS_DISABLE; break;
    case SH_GPIO_BIAS_PULL_UP: flags |= GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_UP; break;
    case SH_GPIO_BIAS_PULL_DOWN: flags |= GPIOD_LINE_REQUEST_FLAG_BIAS_PULL_DOWN; break;
    default: break;
    }
    switch (settings->drive) {
    case SH_GPIO_OPEN_DRAIN: return flags | GPIOD_LINE_REQUEST_FLAG_OPEN_DRAIN;
    case SH_GPIO_OPEN_SOURCE: return flags | GPIOD_LINE_REQUEST_FLAG_OPEN_SOURCE;
    default: return flags;
    }
}

static ptrdiff_t read_edges(int descriptor, sh_gpio_event *out, size_t room) {
    enum { batch = 16 };
    struct gpiod_line_event events[batch];
    int count = gpiod_line_event_read_fd_multiple(descriptor, events, room < batch ? (unsigned)room : batch);
    for (int e = 0; e < count; e++)
        out[e] = (sh_gpio_event){
            .is_rising = events[e].event_type == GPIOD_LINE_EVENT_RISING_EDGE,
            .nanoseconds = (uint64_t)events[e].ts.tv_sec * 1000000000 + (uint64_t)events[e].ts.tv_nsec,
        };
    return count;
}

static int start_reading(sh_gpio_lines *lines) {
    int descriptors[SH_GPIO_MAX_LINES];
    unsigned count = gpiod_line_bulk_num_lines(&lines->bulk);
    for (unsigned i = 0; i < count; i++) {
        descriptors[i] = gpiod_line_event_get_fd(gpiod_line_bulk_get_line(&lines->bulk, i));
        int flags = fcntl(descriptors[i], F_GETFL);
        if (flags < 0 || fcntl(descriptors[i], F_SETFL, flags | O_NONBLOCK) < 0) return -1;
    }
    lines->edges = sh_edge_reader_start(descriptors, count, read_edges);
    return lines->edges ? 0 : -1;
}

sh_gpio_lines *sh_gpio_request(sh_gpio_chip *chip, const unsigned *offsets, size_t count,
                               const sh_gpio_settings *settings, const uint8_t *values) {
    if (count == 0 || count > SH_GPIO_MAX_LINES) {
        errno = EINVAL;
        return NULL;
    }
    sh_gpio_lines *lines = calloc(1, sizeof *lines);
    if (!lines) return NULL;
    gpiod_line_bulk_init(&lines->bulk);
    int first[SH_GPIO_MAX_LINES] = {0};
    int code;
    for (size_t i = 0; i < count; i++) {
        struct gpiod_line *line = gpiod_chip_get_line((struct gpiod_chip *)chip, offsets[i]);
        if (!line) goto failed;
        gpiod_line_bulk_add(&lines->bulk, line);
        if (values) first[i] = values[i];
    }
    struct gpiod_line_request_config config = {
        .consumer = settings->consumer, .request_type = request_type(settings), .flags = request_flags(settings)};
    if (gpiod_line_request_bulk(&lines->bulk, &config, first) < 0) goto failed;
    if (settings->direction != SH_GPIO_INPUT || settings->edges == SH_GPIO_EDGES_NONE) return lines;
    if (start_reading(lines) == 0) return lines;
    code = errno;
    gpiod_line_release_bulk(&lines->bulk);
    errno = code;

failed:
    code = errno;
    free(lines);
    errno = code;
    return NULL;
}

void sh_gpio_release(sh_gpio_lines *lines) {
    if (lines->edges) sh_edge_reader_stop(lines->edges);
    gpiod_line_release_bulk(&lines->bulk);
    free(lines);
}

int sh_gpio_get_values(sh_gpio_lines *lines, uint8_t *values) {
    int found[SH_GPIO_MAX_LINES];
    unsigned count = gpiod_line_bulk_num_lines(&lines->bulk);
    if (lines->edges) {
        // Each of these lines is a request of its own.
        for (unsigned i = 0; i < count; i++)
            if ((found[i] = gpiod_line_get_value(gpiod_line_bulk_get_line(&lines->bulk, i))) < 0) return -1;
    } else if (gpiod_line_get_value_bulk(&lines->bulk, found) < 0) {
        return -1;
    }
    for (unsigned i = 0; i < count; i++) values[i] = found[i] != 0;
    return 0;
}

int sh_gpio_set_values(sh_gpio_lines *lines, const uint8_t *values) {
    int wanted[SH_GPIO_MAX_LINES];
    for (unsigned i = 0; i < gpiod_line_bulk_num_lines(&lines->bulk); i++) wanted[i] = values[i];
    return gpiod_line_set_value_bulk(&lines->bulk, wanted) < 0 ? -1 : 0;
}

size_t sh_gpio_descriptors(sh_gpio_lines *lines, int *out, size_t count) {
    if (!lines->edges || count == 0) return 0;
    out[0] = sh_edge_reader_descriptor(lines->edges);
    return 1;
}

ptrdiff_t sh_gpio_read_events(sh_gpio_lines *lines, sh_gpio_event *out, size_t room) {
    return lines->edges ? sh_edge_reader_take(lines->edges, out, room) : 0;
}

#endif
