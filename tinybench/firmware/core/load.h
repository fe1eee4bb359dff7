/* The input as it came over the wire, and as the engine wants it. */
#ifndef TB_LOAD_H
#define TB_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "tb_status.h"

/* Expects `bytes` bytes from now on, and forgets those that were there; TB_ERR_LOAD_SIZE if that is none or
 * too many, and then expects none. */
tb_status tb_load_begin(uint32_t bytes);

/* Takes the next byte; TB_ERR_NO_LOAD if none is expected. */
tb_status tb_load_byte(uint8_t byte);

/* Bytes asked for by the last begin, whether the last of them is there, and one as it came. */
uint32_t tb_load_expected(void);
bool tb_load_complete(void);
uint8_t tb_load_peek(uint32_t index);

/* Receives a load and its CRC-32 straight from the line. Ends after the last byte, or once the line has been
 * silent for a while; what did not arrive whole is forgotten. */
tb_status tb_load_receive(uint32_t bytes);

/* Turns a complete load into the bytes of the engine's input tensor; once, before a window. */
tb_status tb_load_prepare(void);

/* Writes those bytes into the engine's input: before every inference, which may have overwritten it. */
void tb_load_write_input(void);

#endif
