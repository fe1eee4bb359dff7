#include "stm32f7_clock.h"

#include <stddef.h>

#include "registers.h"

/* Addresses and bits: ST's CMSIS headers stm32f746xx.h and stm32f767xx.h, by the names given, where they agree.
 * What must happen in which order: RM0385 (STM32F74x/75x) and RM0410 (STM32F76x/77x), chapters 3 (flash),
 * 4 (PWR), 5 (RCC). */
#define PWR_BASE 0x40007000U     /* APB1PERIPH_BASE + 0x7000 */
#define RCC_BASE 0x40023800U     /* AHB1PERIPH_BASE + 0x3800 */
#define FLASH_R_BASE 0x40023C00U /* AHB1PERIPH_BASE + 0x3C00 */

#define RCC_CR (RCC_BASE + 0x00U)
#define RCC_CR_HSION (1U << 0)
#define RCC_CR_HSIRDY (1U << 1)
#define RCC_CR_HSEON (1U << 16)
#define RCC_CR_HSERDY (1U << 17)
#define RCC_CR_HSEBYP (1U << 18)
#define RCC_CR_PLLON (1U << 24)
#define RCC_CR_PLLRDY (1U << 25)

#define RCC_PLLCFGR (RCC_BASE + 0x04U)
#define RCC_PLLCFGR_PLLM_Pos 0U
#define RCC_PLLCFGR_PLLN_Pos 6U
#define RCC_PLLCFGR_PLLP_Pos 16U
#define RCC_PLLCFGR_PLLSRC_HSE (1U << 22)
#define RCC_PLLCFGR_PLLQ_Pos 24U
#define RCC_PLLCFGR_FIELDS 0x0F437FFFU /* PLLM, PLLN, PLLP, PLLSRC, PLLQ; PLLR (F76x) feeds DSI only */

#define RCC_CFGR (RCC_BASE + 0x08U)
#define RCC_CFGR_SW 0x3U
#define RCC_CFGR_SW_HSI 0x0U
#define RCC_CFGR_SW_PLL 0x2U
#define RCC_CFGR_SWS 0xCU
#define RCC_CFGR_SWS_HSI 0x0U
#define RCC_CFGR_SWS_PLL 0x8U
#define RCC_CFGR_PRESCALERS 0xFCF0U /* HPRE, PPRE1, PPRE2 */
#define RCC_CFGR_HPRE_DIV1 0x0000U
#define RCC_CFGR_PPRE1_DIV4 0x1400U
#define RCC_CFGR_PPRE2_DIV2 0x8000U

#define RCC_APB1ENR_PWREN (1U << 28)

#define PWR_CR1 (PWR_BASE + 0x00U)
#define PWR_CR1_VOS (3U << 14) /* 3: scale 1 */
#define PWR_CR1_ODEN (1U << 16)
#define PWR_CR1_ODSWEN (1U << 17)
#define PWR_CSR1 (PWR_BASE + 0x04U)
#define PWR_CSR1_VOSRDY (1U << 14)
#define PWR_CSR1_ODRDY (1U << 16)
#define PWR_CSR1_ODSWRDY (1U << 17)

#define FLASH_ACR (FLASH_R_BASE + 0x00U)
#define FLASH_ACR_LATENCY 0xFU
#define FLASH_ACR_LATENCY_7WS 0x7U
#define FLASH_ACR_PRFTEN (1U << 8)
#define FLASH_ACR_ARTEN (1U << 9)

/* 8 MHz / 8 = 1 MHz into the PLL (0.95 to 2.1 allowed), times 432 (VCO: 100 to 432 MHz), divided by 2. PLLQ
 * feeds USB only: 432 / 9 = 48 MHz. RM0385 5.3.2, RCC_PLLCFGR. */
enum {
    HSE_HZ = 8000000,
    PLLM = 8,
    PLLN = 432,
    PLLP = 2,
    PLLP_DIV2 = 0, /* PLLP holds 0 for 2, 1 for 4, … */
    PLLQ = 9,
    PCLK1_DIVIDER = 4 /* PCLK1 is 54 MHz at most, PCLK2 108 MHz (DS10916, general operating conditions, over-drive) */
};

_Static_assert(HSE_HZ / PLLM * PLLN / PLLP == TB_STM32F7_CORE_HZ, "the PLL makes the core's clock");
_Static_assert(TB_STM32F7_CORE_HZ / PCLK1_DIVIDER == TB_STM32F7_PCLK1_HZ, "the divider makes the bus's clock");

/* How often a ready bit is asked for. A poll takes some six cycles: a million are at least 25 ms at 216 MHz and
 * 0.4 s at HSI's 16 MHz, where HSE in bypass and PLL need microseconds and over-drive less than 0.1 ms. */
#ifndef TB_CLOCK_POLLS
#define TB_CLOCK_POLLS 1000000U
#endif

static bool becomes(uint32_t address, uint32_t mask, uint32_t value) {
    return tb_register_await(address, mask, value, TB_CLOCK_POLLS);
}

/* Reading the bit back gives the peripheral the two cycles it needs (RM0385 5.2, peripheral clock enable). */
void tb_stm32f7_enable(uint32_t enable_register, uint32_t bits) {
    tb_register_change(enable_register, 0, bits);
    (void)tb_register_get(enable_register);
}

/* As after reset, in case somebody was here before: HSI drives the core, PLL and HSE are off. HSEBYP may be
 * written only while HSE is off, PLLCFGR only while the PLL is (RM0385 5.3.1, 5.3.2). */
static const char *return_to_hsi(void) {
    tb_register_change(RCC_CR, 0, RCC_CR_HSION);
    if (!becomes(RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY)) {
        return "e-[HSI does not start]";
    }
    tb_register_change(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_HSI);
    if (!becomes(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_HSI)) {
        return "e-[HSI is not taken]";
    }
    tb_register_change(RCC_CFGR, RCC_CFGR_PRESCALERS, RCC_CFGR_HPRE_DIV1);
    tb_register_change(RCC_CR, RCC_CR_PLLON, 0);
    if (!becomes(RCC_CR, RCC_CR_PLLRDY, 0)) {
        return "e-[PLL does not stop]";
    }
    tb_register_change(RCC_CR, RCC_CR_HSEON, 0);
    return becomes(RCC_CR, RCC_CR_HSERDY, 0) ? NULL : "e-[HSE does not stop]";
}

static const char *start_hse(void) {
    tb_register_change(RCC_CR, 0, RCC_CR_HSEBYP);
    tb_register_change(RCC_CR, 0, RCC_CR_HSEON);
    return becomes(RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY) ? NULL : "e-[HSE does not start]";
}

/* Scale 1 is chosen while the PLL is off, and reported once it is on (RM0385 4.1, voltage regulator). */
static void start_pll(void) {
    tb_stm32f7_enable(TB_STM32F7_APB1ENR, RCC_APB1ENR_PWREN);
    tb_register_change(PWR_CR1, 0, PWR_CR1_VOS);
    tb_register_change(RCC_PLLCFGR, RCC_PLLCFGR_FIELDS,
                       (PLLM << RCC_PLLCFGR_PLLM_Pos) | (PLLN << RCC_PLLCFGR_PLLN_Pos) |
                           (PLLP_DIV2 << RCC_PLLCFGR_PLLP_Pos) | RCC_PLLCFGR_PLLSRC_HSE |
                           ((uint32_t)PLLQ << RCC_PLLCFGR_PLLQ_Pos));
    tb_register_change(RCC_CR, 0, RCC_CR_PLLON);
}

/* Over-drive is entered with HSI or HSE driving the core and the PLL started: first on, then switched to
 * (RM0385 4.1, entering over-drive mode). */
static const char *enter_over_drive(void) {
    tb_register_change(PWR_CR1, 0, PWR_CR1_ODEN);
    if (!becomes(PWR_CSR1, PWR_CSR1_ODRDY, PWR_CSR1_ODRDY)) {
        return "e-[No over-drive]";
    }
    tb_register_change(PWR_CR1, 0, PWR_CR1_ODSWEN);
    return becomes(PWR_CSR1, PWR_CSR1_ODSWRDY, PWR_CSR1_ODSWRDY) ? NULL : "e-[No switch to over-drive]";
}

/* Latency rises before the clock does, and must be read back (RM0385 3.3, read access latency). ART and its
 * prefetch serve reads through the ITCM alias of the flash only; what is read at 0x08000000 goes by AXI and the
 * caches. They are on all the same, as in ST's own start-up. */
static const char *slow_flash_down(void) {
    tb_register_change(FLASH_ACR, FLASH_ACR_LATENCY, FLASH_ACR_LATENCY_7WS);
    if (!becomes(FLASH_ACR, FLASH_ACR_LATENCY, FLASH_ACR_LATENCY_7WS)) {
        return "e-[Flash latency not taken]";
    }
    tb_register_change(FLASH_ACR, 0, FLASH_ACR_PRFTEN | FLASH_ACR_ARTEN);
    return NULL;
}

static const char *switch_to_pll(void) {
    tb_register_change(RCC_CFGR, RCC_CFGR_PRESCALERS,
                       RCC_CFGR_HPRE_DIV1 | RCC_CFGR_PPRE1_DIV4 | RCC_CFGR_PPRE2_DIV2);
    if (!becomes(RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY)) {
        return "e-[PLL does not lock]";
    }
    if (!becomes(PWR_CSR1, PWR_CSR1_VOSRDY, PWR_CSR1_VOSRDY)) {
        return "e-[No voltage scale 1]";
    }
    tb_register_change(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_PLL);
    return becomes(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL) ? NULL : "e-[PLL is not taken]";
}

static const char *start(void) {
    const char *missing = return_to_hsi();
    if (missing == NULL) {
        missing = start_hse();
    }
    if (missing == NULL) {
        start_pll();
        missing = enter_over_drive();
    }
    if (missing == NULL) {
        missing = slow_flash_down();
    }
    return missing == NULL ? switch_to_pll() : missing;
}

const char *tb_stm32f7_start_clock(void) {
    const char *missing = start();
    if (missing != NULL) {
        (void)return_to_hsi();
    }
    return missing;
}
