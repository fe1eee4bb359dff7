/* ST's second USART, polled: STM32F0/F3/F7/L4/H7 (RM0385 chapter 31; USART_TypeDef in stm32f746xx.h). */
#ifndef TB_USART_V2_H
#define TB_USART_V2_H

#include <stdbool.h>
#include <stdint.h>

/* One instance: where it is, and what clocks it. Its clock and pins must be on already. LPUART has the same
 * registers and counts 256 steps for each period of its clock (RM0432, LPUART baud rate generation). */
typedef struct {
    uint32_t address;
    uint32_t clock_hz;
    bool low_power; /* an LPUART */
} tb_usart;

/* Whether the divider comes near enough to this rate. */
bool tb_usart_baud_possible(const tb_usart *usart, uint32_t baud);

/* 8 bits, no parity, 1 stop bit, at this rate; for the first time or again. */
void tb_usart_start(const tb_usart *usart, uint32_t baud);

int tb_usart_read(const tb_usart *usart);
void tb_usart_write(const tb_usart *usart, const char *data, uint32_t length);

#endif
