/* What a port owes, on one screen. A board's C file implements all of it, or takes parts from port/. */
#ifndef TB_PORT_H
#define TB_PORT_H

#include <stdbool.h>
#include <stdint.h>

enum { TB_BUILD_ID_BYTES = 20 };

/* Clocks, caches, pins, serial port; called once, before anything below. Does not return if the clock that
 * the target promises cannot be had. */
void tb_port_init(void);

/* Next received byte, or -1 if there is none. Never blocks. */
int tb_port_read(void);

/* Sends all bytes; returns when the last bit has left, so that the line is quiet while a window is open. */
void tb_port_write(const char *data, uint32_t length);

/* Whether the line can run at this speed, near enough for the other end to follow; then, to do so. */
bool tb_port_baud_possible(uint32_t baud);
void tb_port_set_baud(uint32_t baud);

/* A free-running 32-bit counter and how many ticks it makes in a second. */
uint32_t tb_port_ticks(void);
uint32_t tb_port_ticks_per_second(void);

/* The pin that brackets a window for a power monitor. */
void tb_port_marker(bool high);

/* The identity that the linker gave this image. */
void tb_port_build_id(uint8_t id[TB_BUILD_ID_BYTES]);

/* The memory that the stack grows down through, from `end` to `lowest`; both null where it is not ours. */
typedef struct {
    uint32_t *lowest;
    uint32_t *end;
} tb_stack_area;

tb_stack_area tb_port_stack(void);

#endif
