#include "usart_v2.h"

#include "registers.h"

/* Offsets and bits: USART_TypeDef, USART_CR1_*, USART_ISR_*, USART_ICR_* of stm32f746xx.h; RM0385 31.8. */
enum { CR1 = 0x00, CR2 = 0x04, CR3 = 0x08, BRR = 0x0C, ISR = 0x1C, ICR = 0x20, RDR = 0x24, TDR = 0x28 };

#define CR1_UE (1U << 0)
#define CR1_RE (1U << 2)
#define CR1_TE (1U << 3)
#define ISR_ERRORS 0x0FU /* PE, FE, NE, ORE: the same bits in ICR clear them */
#define ISR_RXNE (1U << 5)
#define ISR_TC (1U << 6)
#define ISR_TXE (1U << 7)

enum {
    LEAST_DIVIDER = 16,            /* RM0385 31.5.4: with oversampling by 16, USARTDIV is at least 16 */
    MOST_DIVIDER = 0xFFFF,         /* BRR has 16 bits */
    STEPS_OF_LPUART = 256,
    LEAST_DIVIDER_OF_LPUART = 0x300, /* RM0432, LPUART_BRR: less is forbidden; 20 bits */
    MOST_DIVIDER_OF_LPUART = 0xFFFFF,
    MOST_DEVIATION_PERMIL = 15,    /* half of what a receiver tolerates (RM0385 31.5.5) */
    POLLS_PER_CHARACTER = 10000000 /* some 100 ms at 216 MHz and more: a character takes 1 ms at 9600 */
};

/* What the divider divides: up to 256 times 216 MHz. */
static uint64_t steps_per_second(const tb_usart *usart) {
    return (uint64_t)usart->clock_hz * (usart->low_power ? STEPS_OF_LPUART : 1U);
}

static uint32_t divider(const tb_usart *usart, uint32_t baud) {
    return (uint32_t)((steps_per_second(usart) + baud / 2U) / baud);
}

static bool divider_possible(const tb_usart *usart, uint32_t ratio) {
    const uint32_t least = usart->low_power ? LEAST_DIVIDER_OF_LPUART : LEAST_DIVIDER;
    const uint32_t most = usart->low_power ? MOST_DIVIDER_OF_LPUART : MOST_DIVIDER;
    return ratio >= least && ratio <= most;
}

bool tb_usart_baud_possible(const tb_usart *usart, uint32_t baud) {
    if (baud == 0 || baud > usart->clock_hz) {
        return false;
    }
    const uint32_t ratio = divider(usart, baud);
    if (!divider_possible(usart, ratio)) {
        return false;
    }
    const uint32_t made = (uint32_t)(steps_per_second(usart) / ratio);
    const uint32_t deviation = made > baud ? made - baud : baud - made;
    return (uint64_t)deviation * 1000U <= (uint64_t)baud * MOST_DEVIATION_PERMIL;
}

void tb_usart_start(const tb_usart *usart, uint32_t baud) {
    tb_register_put(usart->address + CR1, 0); /* BRR may be written only while UE is 0 (RM0385 31.8.4) */
    tb_register_put(usart->address + CR2, 0);
    tb_register_put(usart->address + CR3, 0);
    tb_register_put(usart->address + BRR, divider(usart, baud));
    tb_register_put(usart->address + ICR, ISR_ERRORS);
    tb_register_put(usart->address + CR1, CR1_UE | CR1_RE | CR1_TE);
}

/* An overrun must be cleared; it has cost a byte, which only a checksum notices. */
int tb_usart_read(const tb_usart *usart) {
    const uint32_t status = tb_register_get(usart->address + ISR);
    if ((status & ISR_ERRORS) != 0) {
        tb_register_put(usart->address + ICR, ISR_ERRORS);
    }
    return (status & ISR_RXNE) != 0 ? (int)(tb_register_get(usart->address + RDR) & 0xFFU) : -1;
}

/* A transmitter that does not move is given up: the fault report must not hang on a line that is off. */
void tb_usart_write(const tb_usart *usart, const char *data, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        if (!tb_register_await(usart->address + ISR, ISR_TXE, ISR_TXE, POLLS_PER_CHARACTER)) {
            return;
        }
        tb_register_put(usart->address + TDR, (uint8_t)data[i]);
    }
    (void)tb_register_await(usart->address + ISR, ISR_TC, ISR_TC, POLLS_PER_CHARACTER);
}
