/* SPDX-License-Identifier: MIT */
/* HMAC-MD2, as RFC 1319 and RFC 2104 define it. The digest is a block of 16 bytes, and so is the key. */
#include <string.h>

#include "cudart_compat.h"

#define BLOCK 16u
#define ROUNDS 18u

/* Digits of pi, permuted: RFC 1319, 3.2. */
static const uint8_t pi[256] = {
    41,  46,  67,  201, 162, 216, 124, 1,   61,  54,  84,  161, 236, 240, 6,   19,  98,  167, 5,   243, 192, 199,
    115, 140, 152, 147, 43,  217, 188, 76,  130, 202, 30,  155, 87,  60,  253, 212, 224, 22,  103, 66,  111, 24,
    138, 23,  229, 18,  190, 78,  196, 214, 218, 158, 222, 73,  160, 251, 245, 142, 187, 47,  238, 122, 169, 104,
    121, 145, 21,  178, 7,   63,  148, 194, 16,  137, 11,  34,  95,  33,  128, 127, 93,  154, 90,  144, 50,  39,
    53,  62,  204, 231, 191, 247, 151, 3,   255, 25,  48,  179, 72,  165, 181, 209, 215, 94,  146, 42,  172, 86,
    170, 198, 79,  184, 56,  210, 150, 164, 125, 182, 118, 252, 107, 226, 156, 116, 4,   241, 69,  157, 112, 89,
    100, 113, 135, 32,  134, 91,  207, 101, 230, 45,  168, 2,   27,  96,  37,  173, 174, 176, 185, 246, 28,  70,
    97,  105, 52,  64,  126, 15,  85,  71,  163, 35,  221, 81,  175, 58,  195, 92,  249, 206, 186, 197, 234, 38,
    44,  83,  13,  110, 133, 40,  132, 9,   211, 223, 205, 244, 65,  129, 77,  82,  106, 220, 55,  200, 108, 193,
    171, 250, 36,  225, 123, 8,   12,  189, 177, 74,  120, 136, 149, 139, 227, 99,  232, 109, 233, 203, 213, 254,
    59,  0,   29,  57,  242, 239, 183, 14,  102, 88,  208, 228, 166, 119, 114, 248, 235, 117, 75,  10,  49,  68,
    80,  180, 143, 237, 31,  26,  219, 153, 141, 51,  159, 17,  131, 20,
};

static void
mix(struct cuda_guest_hmac *hmac)
{
    uint8_t t = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < sizeof(hmac->state); i++)
            t = hmac->state[i] ^= pi[t];
        t = (uint8_t)(t + round);
    }
}

static void
add_byte(struct cuda_guest_hmac *hmac, uint8_t byte)
{
    unsigned i = hmac->filled;

    hmac->state[BLOCK + i] = byte;
    hmac->state[2 * BLOCK + i] = hmac->state[i] ^ byte;
    hmac->last = hmac->checksum[i] ^= pi[byte ^ hmac->last];
    hmac->filled = (i + 1) % BLOCK;
    if (hmac->filled == 0)
        mix(hmac);
}

void
cuda_guest_hmac_add(struct cuda_guest_hmac *hmac, const void *data, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        add_byte(hmac, ((const uint8_t *)data)[i]);
}

static void
begin(struct cuda_guest_hmac *hmac, uint8_t pad)
{
    memset(hmac->state, 0, sizeof(hmac->state));
    memset(hmac->checksum, 0, sizeof(hmac->checksum));
    hmac->last = 0;
    hmac->filled = 0;
    for (unsigned i = 0; i < BLOCK; i++)
        add_byte(hmac, hmac->key[i] ^ pad);
}

static void
end(struct cuda_guest_hmac *hmac, uint8_t digest[16])
{
    uint8_t checksum[BLOCK];

    for (unsigned padding = BLOCK - hmac->filled, i = 0; i < padding; i++)
        add_byte(hmac, (uint8_t)padding);
    memcpy(checksum, hmac->checksum, sizeof(checksum));
    cuda_guest_hmac_add(hmac, checksum, sizeof(checksum));
    memcpy(digest, hmac->state, BLOCK);
}

void
cuda_guest_hmac_begin(struct cuda_guest_hmac *hmac, const uint8_t key[16])
{
    memcpy(hmac->key, key, BLOCK);
    begin(hmac, 0x36);
}

void
cuda_guest_hmac_end(struct cuda_guest_hmac *hmac, uint8_t digest[16])
{
    end(hmac, digest);
    begin(hmac, 0x5c);
    cuda_guest_hmac_add(hmac, digest, BLOCK);
    end(hmac, digest);
}
