/* The core's clock of an STM32L4 or L4+: MSI at 4 MHz, held by the board's 32.768 kHz crystal, times the PLL. */
#ifndef TB_STM32L4_CLOCK_H
#define TB_STM32L4_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum { TB_STM32L4_MSI_HZ = 4000000 };

/* What the core is to run at: 4 MHz * multiplier / 2. */
typedef struct {
    uint32_t multiplier;  /* PLLN */
    uint32_t wait_states; /* of the flash at that speed, voltage range 1 */
    bool boost;           /* L4+ above 80 MHz: range 1 boost mode, and a step at half the speed */
} tb_stm32l4_clock;

/* Null if the core, both buses and the flash run as wanted; else what is missing, as a reply on the wire, and
 * the core runs from MSI. */
const char *tb_stm32l4_start_clock(tb_stm32l4_clock wanted);

/* Turns on what a bit of an RCC enable register clocks, and waits until it can be used. */
void tb_stm32l4_enable(uint32_t enable_register, uint32_t bits);

/* Lets pins PG2 to PG15 work, which have a supply of their own. */
void tb_stm32l4_accept_vddio2(void);

/* RCC enable registers: RCC_BASE 0x40021000 and the offsets of RCC_TypeDef (stm32l4r5xx.h, stm32l475xx.h). */
#define TB_STM32L4_AHB2ENR 0x4002104CU
#define TB_STM32L4_APB1ENR1 0x40021058U
#define TB_STM32L4_APB1ENR2 0x4002105CU
#define TB_STM32L4_APB2ENR 0x40021060U
#define TB_STM32L4_CCIPR 0x40021088U

#endif
