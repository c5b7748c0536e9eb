/// C and C++ that Swift cannot say: simdjson's parser, adjtimex, mallopt, madvise, getxattr.
#pragma once
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/// A reusable simdjson DOM parser: its buffers grow to the largest document and are kept.
typedef struct sh_json_parser sh_json_parser;

/// The parsed document, valid until the parser's next use. Layout of `tape` and `strings`: simdjson, doc/tape.md.
typedef struct {
    const uint64_t *tape;
    const uint8_t *strings;
} sh_json_tape;

/// NULL when memory is short. Documents over `max_bytes` are refused.
sh_json_parser *sh_json_parser_create(size_t max_bytes);
void sh_json_parser_destroy(sh_json_parser *parser);
/// Bytes that the parser's buffers can take without growing.
size_t sh_json_parser_capacity(const sh_json_parser *parser);
/// 0, or a simdjson error code for `sh_json_error_message`. `bytes` needs no padding.
int sh_json_parse(sh_json_parser *parser, const uint8_t *bytes, size_t count, sh_json_tape *out);
const char *sh_json_error_message(int code);

/// 1 where a file's extended attribute `name` is the text "1" (xattr(7)), as systemd marks what it has delegated.
int sh_is_attribute_set(const char *path, const char *name);

/// 1 where the kernel was told that the time of day is right, as by NTP (adjtimex(2)).
int sh_is_clock_synchronized(void);

/// All threads take memory from the same heap, and what is free at its end goes back to the system (glibc's mallopt(3)):
/// otherwise each thread keeps what it has freed for itself. To be called before other threads are started.
void sh_use_one_heap(void);

/// Lets go of the pages of program and libraries that are as they are in their files: code, symbols, relocations. What is
/// needed again comes back from the page cache at its first use, and most never is: the dynamic linker alone reads
/// 1.5 MiB of symbols.
void sh_let_go_of_startup(void);

#ifdef __cplusplus
}
#endif
