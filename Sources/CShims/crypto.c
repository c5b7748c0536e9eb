#include "CShims.h"

#include <openssl/evp.h>
#include <sys/random.h>

int sh_random_bytes(uint8_t *out, size_t count) {
    size_t done = 0;
    while (done < count) {
        ssize_t got = getrandom(out + done, count - done, 0);
        if (got < 0) {
            return -1;
        }
        done += (size_t)got;
    }
    return 0;
}

int sh_pbkdf2_sha512(const uint8_t *password, size_t password_count, const uint8_t *salt, size_t salt_count,
                     uint32_t iterations, uint8_t *out, size_t out_count) {
    return PKCS5_PBKDF2_HMAC((const char *)password, (int)password_count, salt, (int)salt_count, (int)iterations,
                             EVP_sha512(), (int)out_count, out) == 1
        ? 0 : -1;
}

int sh_sha256(const uint8_t *bytes, size_t count, uint8_t *out) {
    return EVP_Digest(bytes, count, out, NULL, EVP_sha256(), NULL) == 1 ? 0 : -1;
}

size_t sh_base64_encode(const uint8_t *bytes, size_t count, uint8_t *out) {
    return (size_t)EVP_EncodeBlock(out, bytes, (int)count);
}

ptrdiff_t sh_base64_decode(const uint8_t *text, size_t count, uint8_t *out) {
    return EVP_DecodeBlock(out, text, (int)count);
}
