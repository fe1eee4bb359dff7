/* The port of a board with an STM32, a serial port of the second kind and pins of ST's GPIO: what differs between
 * boards is `tb_st_board`, which the board's C file defines; the rest is port/st/board.c. */
#ifndef TB_ST_BOARD_H
#define TB_ST_BOARD_H

#include <stdint.h>

#include "st/gpio.h"
#include "st/usart_v2.h"

typedef struct {
    /* Null once the core runs as the target promises, and its caches are on; else what is missing, as a reply on the
     * wire, with a core that runs from the chip's own oscillator. */
    const char *(*start_clock)(void);

    /* Lets the serial port and the three pins work: clocks, supplies, and what the serial port is clocked by. */
    void (*enable)(void);

    tb_usart usart;          /* as it is clocked once the core runs as promised */
    uint32_t usart_slow_hz;  /* what clocks it otherwise */
    tb_pin tx, rx;
    uint32_t function;       /* the alternate function of tx and rx */
    tb_pin marker;
} tb_st_description;

extern const tb_st_description tb_st_board;

#endif
