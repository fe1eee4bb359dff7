/* CRC-32 as IEEE 802.3, zlib and PNG have it. */
#ifndef TB_CRC32_H
#define TB_CRC32_H

#include <stdint.h>

/* Feed bytes one by one, starting from 0; the value after the last is the checksum. */
uint32_t tb_crc32(uint32_t crc, uint8_t byte);

#endif
