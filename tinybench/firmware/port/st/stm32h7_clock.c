#include "stm32h7_clock.h"

#include <stddef.h>

#include "registers.h"

/* Addresses and bits: ST's CMSIS header stm32h743xx.h, by the names given. What must happen in which order: RM0433,
 * chapters 4 (flash), 6 (PWR), 8 (RCC); voltage scale 0: __HAL_PWR_VOLTAGESCALING_CONFIG of stm32h7xx_hal_pwr.h. */
#define FLASH_R_BASE 0x52002000U /* D1_AHB1PERIPH_BASE + 0x2000 */
#define SYSCFG_BASE 0x58000400U  /* D3_APB1PERIPH_BASE + 0x0400 */
#define RCC_BASE 0x58024400U     /* D3_AHB1PERIPH_BASE + 0x4400 */
#define PWR_BASE 0x58024800U     /* D3_AHB1PERIPH_BASE + 0x4800 */

#define RCC_CR (RCC_BASE + 0x00U)
#define RCC_CR_HSION (1U << 0)
#define RCC_CR_HSIRDY (1U << 2)
#define RCC_CR_HSIDIV (3U << 3) /* 0: 64 MHz */
#define RCC_CR_HSEON (1U << 16)
#define RCC_CR_HSERDY (1U << 17)
#define RCC_CR_HSEBYP (1U << 18)
#define RCC_CR_PLL1ON (1U << 24)
#define RCC_CR_PLL1RDY (1U << 25)

#define RCC_CFGR (RCC_BASE + 0x10U)
#define RCC_CFGR_SW 0x07U
#define RCC_CFGR_SW_HSI 0x00U
#define RCC_CFGR_SW_PLL1 0x03U
#define RCC_CFGR_SWS 0x38U
#define RCC_CFGR_SWS_HSI 0x00U
#define RCC_CFGR_SWS_PLL1 0x18U

#define RCC_D1CFGR (RCC_BASE + 0x18U)
#define RCC_D1CFGR_PRESCALERS 0xF7FU /* D1CPRE, D1PPRE, HPRE */
#define RCC_D1CFGR_HPRE_DIV2 0x08U
#define RCC_D1CFGR_D1PPRE_DIV2 0x40U
#define RCC_D2CFGR (RCC_BASE + 0x1CU)
#define RCC_D2CFGR_PRESCALERS 0x770U /* D2PPRE2, D2PPRE1 */
#define RCC_D2CFGR_D2PPRE1_DIV2 0x40U
#define RCC_D2CFGR_D2PPRE2_DIV2 0x400U
#define RCC_D3CFGR (RCC_BASE + 0x20U)
#define RCC_D3CFGR_D3PPRE 0x70U
#define RCC_D3CFGR_D3PPRE_DIV2 0x40U

#define RCC_PLLCKSELR (RCC_BASE + 0x28U)
#define RCC_PLLCKSELR_FIELDS 0x3F3U /* DIVM1, PLLSRC */
#define RCC_PLLCKSELR_DIVM1_Pos 4U
#define RCC_PLLCKSELR_PLLSRC_HSE 0x2U
#define RCC_PLLCFGR (RCC_BASE + 0x2CU)
#define RCC_PLLCFGR_PLL1 0x7000FU /* DIVR1EN, DIVQ1EN, DIVP1EN, PLL1RGE, PLL1VCOSEL, PLL1FRACEN */
#define RCC_PLLCFGR_PLL1RGE_2 0x8U /* 4 to 8 MHz in; PLL1VCOSEL 0: the wide VCO */
#define RCC_PLLCFGR_DIVP1EN (1U << 16)
#define RCC_PLL1DIVR (RCC_BASE + 0x30U)
#define RCC_PLL1DIVR_P1_Pos 9U
#define RCC_PLL1DIVR_Q1_Pos 16U
#define RCC_PLL1DIVR_R1_Pos 24U

#define RCC_APB4ENR_SYSCFGEN (1U << 1)
#define SYSCFG_PWRCR (SYSCFG_BASE + 0x2CU)
#define SYSCFG_PWRCR_ODEN (1U << 0)

#define PWR_CSR1 (PWR_BASE + 0x04U)
#define PWR_CSR1_ACTVOSRDY (1U << 13)
#define PWR_CR3 (PWR_BASE + 0x0CU)
#define PWR_CR3_SUPPLY 0x7U /* SCUEN, LDOEN, BYPASS */
#define PWR_CR3_LDOEN (1U << 1)
#define PWR_D3CR (PWR_BASE + 0x18U)
#define PWR_D3CR_VOSRDY (1U << 13)
#define PWR_D3CR_VOS (3U << 14) /* 3: scale 1 */

#define FLASH_ACR (FLASH_R_BASE + 0x00U)
#define FLASH_ACR_FIELDS 0x3FU /* WRHIGHFREQ, LATENCY */
#define FLASH_ACR_WRHIGHFREQ_Pos 4U

/* 8 MHz / 2 = 4 MHz into the PLL; its output (wide VCO: 192 to 836 MHz on revision Y, 960 on V), divided by 2, is the
 * core's clock; AXI and AHB get half of that, each APB a quarter: DS12110, general operating conditions. */
enum { DIVM = 2, DIVP = TB_STM32H7_PLL_DIVIDER };

_Static_assert(TB_STM32H7_HSE_HZ / DIVM == TB_STM32H7_PLL_INPUT_HZ, "the PLL's input is what the header says");

/* How often a ready bit is asked for. A poll takes some ten cycles of 64 MHz: a million are 0.15 s, where PLL and
 * regulator need less than a millisecond. */
#ifndef TB_CLOCK_POLLS
#define TB_CLOCK_POLLS 1000000U
#endif

static bool becomes(uint32_t address, uint32_t mask, uint32_t value) {
    return tb_register_await(address, mask, value, TB_CLOCK_POLLS);
}

/* Reading the bit back gives the peripheral the two cycles it needs (RM0433 8.5.11). */
void tb_stm32h7_enable(uint32_t enable_register, uint32_t bits) {
    tb_register_change(enable_register, 0, bits);
    (void)tb_register_get(enable_register);
}

static void undo_prescalers(void) {
    tb_register_change(RCC_D1CFGR, RCC_D1CFGR_PRESCALERS, 0);
    tb_register_change(RCC_D2CFGR, RCC_D2CFGR_PRESCALERS, 0);
    tb_register_change(RCC_D3CFGR, RCC_D3CFGR_D3PPRE, 0);
}

/* As after reset, in case somebody was here before: HSI drives the core, PLL and HSE are off. */
static const char *return_to_hsi(void) {
    tb_register_change(RCC_CR, RCC_CR_HSIDIV, RCC_CR_HSION);
    if (!becomes(RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY)) {
        return "e-[HSI does not start]";
    }
    tb_register_change(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_HSI);
    if (!becomes(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_HSI)) {
        return "e-[HSI is not taken]";
    }
    undo_prescalers();
    tb_register_change(RCC_CR, RCC_CR_PLL1ON, 0);
    if (!becomes(RCC_CR, RCC_CR_PLL1RDY, 0)) {
        return "e-[PLL does not stop]";
    }
    tb_register_change(RCC_CR, RCC_CR_HSEON, 0);
    return becomes(RCC_CR, RCC_CR_HSERDY, 0) ? NULL : "e-[HSE does not stop]";
}

/* The supply is chosen once after power-on, even where it is the one after reset: before that the voltage cannot be
 * changed (RM0433 6.4.1, 6.8.4). Here it is the LDO (UM1974). Scale 0 is entered from scale 1. */
static const char *raise_voltage(bool scale_0) {
    tb_register_change(PWR_CR3, PWR_CR3_SUPPLY, PWR_CR3_LDOEN);
    if (!becomes(PWR_CSR1, PWR_CSR1_ACTVOSRDY, PWR_CSR1_ACTVOSRDY)) {
        return "e-[No supply]";
    }
    tb_register_change(PWR_D3CR, 0, PWR_D3CR_VOS);
    if (!becomes(PWR_D3CR, PWR_D3CR_VOSRDY, PWR_D3CR_VOSRDY)) {
        return "e-[No voltage scale 1]";
    }
    if (!scale_0) {
        return NULL;
    }
    tb_stm32h7_enable(TB_STM32H7_APB4ENR, RCC_APB4ENR_SYSCFGEN);
    tb_register_change(SYSCFG_PWRCR, 0, SYSCFG_PWRCR_ODEN);
    (void)tb_register_get(SYSCFG_PWRCR);
    return becomes(PWR_D3CR, PWR_D3CR_VOSRDY, PWR_D3CR_VOSRDY) ? NULL : "e-[No voltage scale 0]";
}

static const char *start_hse(void) {
    tb_register_change(RCC_CR, 0, RCC_CR_HSEBYP);
    tb_register_change(RCC_CR, 0, RCC_CR_HSEON);
    return becomes(RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY) ? NULL : "e-[HSE does not start]";
}

/* The fields hold one less than they divide or multiply by; Q and R are not let out. */
static const char *start_pll(uint32_t multiplier) {
    tb_register_change(RCC_PLLCKSELR, RCC_PLLCKSELR_FIELDS,
                       (DIVM << RCC_PLLCKSELR_DIVM1_Pos) | RCC_PLLCKSELR_PLLSRC_HSE);
    tb_register_change(RCC_PLLCFGR, RCC_PLLCFGR_PLL1, RCC_PLLCFGR_PLL1RGE_2 | RCC_PLLCFGR_DIVP1EN);
    tb_register_put(RCC_PLL1DIVR, (multiplier - 1U) | ((DIVP - 1U) << RCC_PLL1DIVR_P1_Pos) |
                                      (1U << RCC_PLL1DIVR_Q1_Pos) | (1U << RCC_PLL1DIVR_R1_Pos));
    tb_register_change(RCC_CR, 0, RCC_CR_PLL1ON);
    return becomes(RCC_CR, RCC_CR_PLL1RDY, RCC_CR_PLL1RDY) ? NULL : "e-[PLL does not lock]";
}

/* After reset there are seven wait states, which is always enough. */
static const char *set_flash(tb_stm32h7_clock wanted) {
    const uint32_t fields = wanted.wait_states | (wanted.write_delay << FLASH_ACR_WRHIGHFREQ_Pos);
    tb_register_change(FLASH_ACR, FLASH_ACR_FIELDS, fields);
    return becomes(FLASH_ACR, FLASH_ACR_FIELDS, fields) ? NULL : "e-[Flash latency not taken]";
}

static const char *switch_to_pll(void) {
    tb_register_change(RCC_D1CFGR, RCC_D1CFGR_PRESCALERS, RCC_D1CFGR_HPRE_DIV2 | RCC_D1CFGR_D1PPRE_DIV2);
    tb_register_change(RCC_D2CFGR, RCC_D2CFGR_PRESCALERS, RCC_D2CFGR_D2PPRE1_DIV2 | RCC_D2CFGR_D2PPRE2_DIV2);
    tb_register_change(RCC_D3CFGR, RCC_D3CFGR_D3PPRE, RCC_D3CFGR_D3PPRE_DIV2);
    tb_register_change(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_PLL1);
    return becomes(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL1) ? NULL : "e-[PLL is not taken]";
}

static const char *start(tb_stm32h7_clock wanted) {
    const char *missing = return_to_hsi();
    if (missing == NULL) {
        missing = raise_voltage(wanted.scale_0);
    }
    if (missing == NULL) {
        missing = start_hse();
    }
    if (missing == NULL) {
        missing = start_pll(wanted.multiplier);
    }
    if (missing == NULL) {
        missing = set_flash(wanted);
    }
    return missing == NULL ? switch_to_pll() : missing;
}

const char *tb_stm32h7_start_clock(tb_stm32h7_clock wanted) {
    const char *missing = start(wanted);
    if (missing != NULL) {
        (void)return_to_hsi();
    }
    return missing;
}
