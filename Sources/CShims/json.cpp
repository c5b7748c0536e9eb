#include "CShims.h"

#include <new>
#include <simdjson.h>

struct sh_json_parser {
    simdjson::dom::parser parser;
    explicit sh_json_parser(size_t max_bytes) : parser(max_bytes) {}
};

sh_json_parser *sh_json_parser_create(size_t max_bytes) {
    return new (std::nothrow) sh_json_parser(max_bytes);
}

void sh_json_parser_destroy(sh_json_parser *parser) {
    delete parser;
}

size_t sh_json_parser_capacity(const sh_json_parser *parser) {
    return parser->parser.capacity();
}

int sh_json_parse(sh_json_parser *parser, const uint8_t *bytes, size_t count, sh_json_tape *out) {
    simdjson::dom::element root;
    // The last argument has simdjson copy the bytes into its own padded buffer.
    auto error = parser->parser.parse(bytes, count, true).get(root);
    if (error != simdjson::SUCCESS) {
        return static_cast<int>(error);
    }
    out->tape = parser->parser.doc.tape.get();
    out->strings = parser->parser.doc.string_buf.get();
    return 0;
}

const char *sh_json_error_message(int code) {
    return simdjson::error_message(static_cast<simdjson::error_code>(code));
}
