/* UART of Arm's Cortex-M System Design Kit, polled. */
#ifndef TB_CMSDK_UART_H
#define TB_CMSDK_UART_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t address;
    uint32_t clock_hz;
} tb_cmsdk_uart;

void tb_cmsdk_uart_start(const tb_cmsdk_uart *uart, uint32_t baud);
bool tb_cmsdk_uart_baud_possible(const tb_cmsdk_uart *uart, uint32_t baud);
int tb_cmsdk_uart_read(const tb_cmsdk_uart *uart);
void tb_cmsdk_uart_write(const tb_cmsdk_uart *uart, const char *data, uint32_t length);

#endif
