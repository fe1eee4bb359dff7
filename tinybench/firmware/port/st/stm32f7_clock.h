/* The core's clock of an STM32F7 on a Nucleo-144: 216 MHz from the ST-LINK's 8 MHz, with over-drive. */
#ifndef TB_STM32F7_CLOCK_H
#define TB_STM32F7_CLOCK_H

#include <stdint.h>

enum {
    TB_STM32F7_HSI_HZ = 16000000,
    TB_STM32F7_CORE_HZ = 216000000,
    TB_STM32F7_PCLK1_HZ = 54000000 /* the most that APB1 takes with over-drive */
};

/* Null if the core, both buses and the flash run as wanted; else what is missing, as a reply on the wire, and
 * the core and all buses run from HSI. */
const char *tb_stm32f7_start_clock(void);

/* Turns on what a bit of an RCC enable register clocks, and waits until it can be used. */
void tb_stm32f7_enable(uint32_t enable_register, uint32_t bits);

/* RCC_BASE 0x40023800 and the offsets of RCC_TypeDef (stm32f746xx.h, stm32f767xx.h). */
#define TB_STM32F7_AHB1ENR 0x40023830U
#define TB_STM32F7_APB1ENR 0x40023840U
#define TB_STM32F7_DCKCFGR2 0x40023890U

#endif
