/* How deep the stack ever was: it is painted before use, and what lost its paint was used. */
#ifndef TB_STACK_H
#define TB_STACK_H

#include <stdint.h>

/* Paints everything below the caller's frame. Only in the instrumented image; the clean one leaves it out. */
void tb_stack_paint(void);

uint32_t tb_stack_reserved_bytes(void);

/* Bytes between the deepest word that lost its paint and the end; a word that happened to be written with
 * the paint's own value goes unseen. */
uint32_t tb_stack_used_bytes(void);

#endif
