#include "CCrypto.h"

#include <openssl/evp.h>

int sh_pbkdf2_sha512(const uint8_t *password, size_t password_count, const uint8_t *salt, size_t salt_count,
                     uint32_t iterations, uint8_t *out, size_t out_count) {
    return PKCS5_PBKDF2_HMAC((const char *)password, (int)password_count, salt, (int)salt_count, (int)iterations,
                             EVP_sha512(), (int)out_count, out) == 1
        ? 0 : -1;
}

int sh_sha256(const uint8_t *bytes, size_t count, uint8_t *out) {
    return EVP_Digest(bytes, count, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
}
