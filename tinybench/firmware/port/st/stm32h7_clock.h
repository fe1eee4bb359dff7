/* The core's clock of an STM32H742/743/753 on a Nucleo-144: from the ST-LINK's 8 MHz, with the LDO. */
#ifndef TB_STM32H7_CLOCK_H
#define TB_STM32H7_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TB_STM32H7_HSE_HZ = 8000000,
    TB_STM32H7_HSI_HZ = 64000000,
    TB_STM32H7_PLL_INPUT_HZ = 4000000, /* HSE / 2 */
    TB_STM32H7_PLL_DIVIDER = 2,
    TB_STM32H7_PCLK1_DIVIDER = 4 /* AXI and AHB run at half the core's clock, each APB at a quarter */
};

/* What the core is to run at: 4 MHz * multiplier / 2. */
typedef struct {
    uint32_t multiplier;    /* DIVN1 */
    uint32_t wait_states;   /* of the flash at half that speed (RM0433 table 17) */
    uint32_t write_delay;   /* WRHIGHFREQ, of the same table */
    bool scale_0;           /* above 400 MHz: voltage scale 0, which revision Y does not have */
} tb_stm32h7_clock;

/* Null if the core, the buses and the flash run as wanted; else what is missing, as a reply on the wire, and the core
 * and all buses run from HSI. */
const char *tb_stm32h7_start_clock(tb_stm32h7_clock wanted);

/* Turns on what a bit of an RCC enable register clocks, and waits until it can be used. */
void tb_stm32h7_enable(uint32_t enable_register, uint32_t bits);

/* RCC_BASE 0x58024400 and the offsets of RCC_TypeDef (stm32h743xx.h). */
#define TB_STM32H7_D2CCIP2R 0x58024454U
#define TB_STM32H7_AHB4ENR 0x580244E0U
#define TB_STM32H7_APB1LENR 0x580244E8U
#define TB_STM32H7_APB4ENR 0x580244F4U

#endif
