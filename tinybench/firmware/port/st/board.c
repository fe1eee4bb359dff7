#include "st/board.h"

#include <stddef.h>

#include "tb_port.h"
#include "tb_target.h"
#include "text.h"

static tb_usart usart;

static void start_serial_port(uint32_t clock_hz) {
    usart = tb_st_board.usart;
    usart.clock_hz = clock_hz;
    tb_st_board.enable();
    tb_gpio_connect(tb_st_board.tx, tb_st_board.function);
    tb_gpio_connect(tb_st_board.rx, tb_st_board.function);
    tb_usart_start(&usart, TB_BAUD);
}

/* Says what is missing and never returns: no number may come from a clock that is not the one promised. */
static void stop(const char *missing) {
    start_serial_port(tb_st_board.usart_slow_hz);
    tb_say(missing);
    for (;;) {
    }
}

void tb_port_init(void) {
    const char *missing = tb_st_board.start_clock();
    if (missing != NULL) {
        stop(missing);
    }
    start_serial_port(tb_st_board.usart.clock_hz);
    tb_gpio_drive(tb_st_board.marker);
}

int tb_port_read(void) {
    return tb_usart_read(&usart);
}

void tb_port_write(const char *data, uint32_t length) {
    tb_usart_write(&usart, data, length);
}

bool tb_port_baud_possible(uint32_t baud) {
    return baud <= TB_FASTEST_BAUD && tb_usart_baud_possible(&usart, baud);
}

void tb_port_set_baud(uint32_t baud) {
    tb_usart_start(&usart, baud);
}

void tb_port_marker(bool high) {
    tb_gpio_set(tb_st_board.marker, high);
}
