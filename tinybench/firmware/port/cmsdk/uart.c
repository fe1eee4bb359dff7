/* UART of Arm's Cortex-M System Design Kit: one character buffered each way.
 *
 * Registers: Cortex-M System Design Kit TRM (DDI 0479), chapter 4, APB UART; by the names of CMSIS's CMSDK_CM4.h
 * (CMSDK_UART_TypeDef). */
#include "cmsdk/uart.h"

#include "registers.h"

enum { DATA = 0x00, STATE = 0x04, CTRL = 0x08, BAUDDIV = 0x10 };
#define STATE_TXBF (1U << 0)
#define STATE_RXBF (1U << 1)
#define CTRL_TXEN (1U << 0)
#define CTRL_RXEN (1U << 1)

enum {
    LEAST_DIVIDER = 16, /* DDI 0479, BAUDDIV */
    BITS_PER_CHARACTER = 10,
    CYCLES_PER_POLL = 4, /* at least: a load over APB, a test, a branch */
    PERMILLE = 1000,
    TOLERATED_PERMILLE = 15, /* of a bit's length */
    POLLS_PER_CHARACTER = 1000000
};

static uint32_t divider_for(const tb_cmsdk_uart *uart, uint32_t baud) {
    return (uart->clock_hz + baud / 2U) / baud;
}

bool tb_cmsdk_uart_baud_possible(const tb_cmsdk_uart *uart, uint32_t baud) {
    if (baud == 0 || divider_for(uart, baud) < LEAST_DIVIDER) {
        return false;
    }
    const uint32_t actual = uart->clock_hz / divider_for(uart, baud);
    const uint32_t off = actual > baud ? actual - baud : baud - actual;
    return off <= baud / PERMILLE * TOLERATED_PERMILLE;
}

/* A character of the speed before is dropped. QEMU, whose receiver looks for characters only after one was taken, would
 * else hear nothing until something else wakes it (hw/char/cmsdk-apb-uart.c: CTRL does not call for input, DATA does). */
void tb_cmsdk_uart_start(const tb_cmsdk_uart *uart, uint32_t baud) {
    tb_register_put(uart->address + CTRL, 0);
    tb_register_put(uart->address + BAUDDIV, divider_for(uart, baud));
    tb_register_put(uart->address + CTRL, CTRL_TXEN | CTRL_RXEN);
    (void)tb_register_get(uart->address + DATA);
}

int tb_cmsdk_uart_read(const tb_cmsdk_uart *uart) {
    if ((tb_register_get(uart->address + STATE) & STATE_RXBF) == 0) {
        return -1;
    }
    return (int)(tb_register_get(uart->address + DATA) & 0xFFU);
}

/* The buffer empties into a shift register of which nothing tells when it is done: the time of one character is let
 * pass. */
static void await_last_bit(const tb_cmsdk_uart *uart) {
    uint32_t polls = BITS_PER_CHARACTER * tb_register_get(uart->address + BAUDDIV) / CYCLES_PER_POLL;
    while (polls > 0) {
        (void)tb_register_get(uart->address + STATE);
        polls--;
    }
}

/* A transmitter that does not move is given up: the fault report must not hang on a line that is off. */
void tb_cmsdk_uart_write(const tb_cmsdk_uart *uart, const char *data, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        tb_register_put(uart->address + DATA, (uint8_t)data[i]);
        if (!tb_register_await(uart->address + STATE, STATE_TXBF, 0, POLLS_PER_CHARACTER)) {
            return;
        }
    }
    await_last_bit(uart);
}
