/* What a port owes, on one screen. A board's C file implements all of it, or takes parts from port/. */
#ifndef TB_PORT_H
#define TB_PORT_H

#include <stdbool.h>
#include <stdint.h>

/* Clocks, caches, pins, serial port; called once, before anything below. Does not return if the clock that
 * the target promises cannot be had. */
void tb_port_init(void);

/* Next received byte, or -1 if there is none. Never blocks. */
int tb_port_read(void);

/* Sends all bytes; returns when the last one has been handed to the transmitter. */
void tb_port_write(const char *data, uint32_t length);

/* Changes the line's speed once everything written has left; false if this rate cannot be made. */
bool tb_port_set_baud(uint32_t baud);

/* A free-running 32-bit counter and how many ticks it makes in a second. */
uint32_t tb_port_ticks(void);
uint32_t tb_port_ticks_per_second(void);

/* The pin that brackets a window for a power monitor. */
void tb_port_marker(bool high);

#endif
