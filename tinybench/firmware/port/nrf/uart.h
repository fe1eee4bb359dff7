/* Nordic's UART without DMA, polled: nRF51, nRF52 (NRF_UART_Type, UART_* of nrf52840.h, nrf52840_bitfields.h). */
#ifndef TB_NRF_UART_H
#define TB_NRF_UART_H

#include <stdbool.h>
#include <stdint.h>

/* One instance and its pins, numbered as PSEL wants them: 32 * port + pin. They must be configured already. */
typedef struct {
    uint32_t address;
    uint32_t tx;
    uint32_t rx;
} tb_nrf_uart;

/* Whether BAUDRATE knows this rate and makes it near enough. */
bool tb_nrf_uart_baud_possible(uint32_t baud);

/* 8 bits, no parity, 1 stop bit, no flow control, at this rate; for the first time or again. */
void tb_nrf_uart_start(const tb_nrf_uart *uart, uint32_t baud);

int tb_nrf_uart_read(const tb_nrf_uart *uart);
void tb_nrf_uart_write(const tb_nrf_uart *uart, const char *data, uint32_t length);

#endif
