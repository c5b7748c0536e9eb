/// libcrypto's digests. Apart from the other shims: each process that is linked with libcrypto has a copy of its tables in memory.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// PBKDF2 with HMAC-SHA-512 (RFC 8018); 0 on success.
int sh_pbkdf2_sha512(const uint8_t *password, size_t password_count, const uint8_t *salt, size_t salt_count,
                     uint32_t iterations, uint8_t *out, size_t out_count);
/// SHA-256 of `bytes` into 32 bytes at `out`; 0 on success.
int sh_sha256(const uint8_t *bytes, size_t count, uint8_t *out);
