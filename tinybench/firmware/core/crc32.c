#include "crc32.h"

enum { NIBBLE_BITS = 4, NIBBLE_MASK = 15 };

/* What four bits of remainder become under the reversed polynomial 0xEDB88320: 64 bytes instead of the usual
 * kilobyte, and still some 20 cycles a byte, where a byte at 1 Mbaud takes 2160 at 216 MHz. */
static const uint32_t remainders[1 << NIBBLE_BITS] = {
    0x00000000U, 0x1DB71064U, 0x3B6E20C8U, 0x26D930ACU, 0x76DC4190U, 0x6B6B51F4U, 0x4DB26158U, 0x5005713CU,
    0xEDB88320U, 0xF00F9344U, 0xD6D6A3E8U, 0xCB61B38CU, 0x9B64C2B0U, 0x86D3D2D4U, 0xA00AE278U, 0xBDBDF21CU,
};

uint32_t tb_crc32(uint32_t crc, uint8_t byte) {
    uint32_t rest = ~crc ^ byte;
    rest = (rest >> NIBBLE_BITS) ^ remainders[rest & NIBBLE_MASK];
    rest = (rest >> NIBBLE_BITS) ^ remainders[rest & NIBBLE_MASK];
    return ~rest;
}
