#include "stm32l4_clock.h"

#include <stddef.h>

#include "cortex_m/core_registers.h"
#include "registers.h"

/* Addresses and bits: ST's CMSIS headers stm32l4r5xx.h and stm32l475xx.h, by the names given; where the two
 * differ, it says so. Order: RM0432 (L4+) and RM0351 (L4), chapters 3 (flash), 5 (PWR), 6 (RCC). */
#define PWR_BASE 0x40007000U     /* APB1PERIPH_BASE + 0x7000 */
#define RCC_BASE 0x40021000U     /* AHB1PERIPH_BASE + 0x1000 */
#define FLASH_R_BASE 0x40022000U /* AHB1PERIPH_BASE + 0x2000 */

#define RCC_CR (RCC_BASE + 0x00U)
#define RCC_CR_MSION (1U << 0)
#define RCC_CR_MSIRDY (1U << 1)
#define RCC_CR_MSIPLLEN (1U << 2)
#define RCC_CR_MSIRGSEL (1U << 3)
#define RCC_CR_MSIRANGE 0xF0U
#define RCC_CR_MSIRANGE_6 0x60U /* 4 MHz */
#define RCC_CR_PLLON (1U << 24)
#define RCC_CR_PLLRDY (1U << 25)

#define RCC_CFGR (RCC_BASE + 0x08U)
#define RCC_CFGR_SW 0x3U
#define RCC_CFGR_SW_MSI 0x0U
#define RCC_CFGR_SW_PLL 0x3U
#define RCC_CFGR_SWS 0xCU
#define RCC_CFGR_SWS_MSI 0x0U
#define RCC_CFGR_SWS_PLL 0xCU
#define RCC_CFGR_HPRE 0xF0U
#define RCC_CFGR_HPRE_DIV2 0x80U
#define RCC_CFGR_PRESCALERS 0x3FF0U /* HPRE, PPRE1, PPRE2; 0: all by 1 */

#define RCC_PLLCFGR (RCC_BASE + 0x0CU)
#define RCC_PLLCFGR_PLLSRC_MSI 1U
#define RCC_PLLCFGR_PLLN_Pos 8U
#define RCC_PLLCFGR_PLLREN (1U << 24) /* PLLM and PLLR at 0: by 1 and by 2 */

#define RCC_APB1ENR1_PWREN (1U << 28)
#define RCC_BDCR (RCC_BASE + 0x90U)
#define RCC_BDCR_LSEON (1U << 0)
#define RCC_BDCR_LSERDY (1U << 1)

#define PWR_CR1 (PWR_BASE + 0x00U)
#define PWR_CR1_DBP (1U << 8)
#define PWR_CR1_VOS (3U << 9)
#define PWR_CR1_VOS_0 (1U << 9) /* range 1 */
#define PWR_CR2 (PWR_BASE + 0x04U)
#define PWR_CR2_IOSV (1U << 9)
#define PWR_SR2 (PWR_BASE + 0x14U)
#define PWR_SR2_VOSF (1U << 10)
#define PWR_CR5 (PWR_BASE + 0x80U) /* L4+ only */
#define PWR_CR5_R1MODE (1U << 8)

#define FLASH_ACR (FLASH_R_BASE + 0x00U)
#define FLASH_ACR_LATENCY 0xFU /* L4: three bits, the fourth reserved and zero */
#define FLASH_ACR_PRFTEN (1U << 8)
#define FLASH_ACR_ICEN (1U << 9)
#define FLASH_ACR_DCEN (1U << 10)

/* What options of the target turn off (tinybench/target_options.py). */
#ifndef TB_FLASH_PREFETCH
#define TB_FLASH_PREFETCH 1
#endif
#ifndef TB_CODE_CACHE
#define TB_CODE_CACHE 1
#endif
#ifndef TB_DATA_CACHE
#define TB_DATA_CACHE 1
#endif
#define FLASH_ACR_WANTED                                                                               \
    ((TB_FLASH_PREFETCH ? FLASH_ACR_PRFTEN : 0U) | (TB_CODE_CACHE ? FLASH_ACR_ICEN : 0U) |             \
     (TB_DATA_CACHE ? FLASH_ACR_DCEN : 0U))

/* How often a ready bit is asked for. A poll takes some six cycles of 4 MHz: a million are 1.5 s for MSI, PLL and
 * regulator, which need microseconds; the crystal gets eight times as long and needs 2 s at most (DS12023, LSE
 * oscillator characteristics, t_SU(LSE)). */
#ifndef TB_CLOCK_POLLS
#define TB_CLOCK_POLLS 1000000U
#endif
enum { CRYSTAL_POLLS_PER_POLL = 8 };

/* One microsecond at 60 MHz is 60 cycles; a turn takes at least one (RM0432, range 1 boost mode, step 5). */
enum { TURNS_AT_HALF_SPEED = 120 };

void tb_stm32l4_enable(uint32_t enable_register, uint32_t bits) {
    tb_register_change(enable_register, 0, bits);
    (void)tb_register_get(enable_register); /* the peripheral needs two cycles (RM0432 6.2, clock enabling delay) */
}

void tb_stm32l4_accept_vddio2(void) {
    tb_stm32l4_enable(TB_STM32L4_APB1ENR1, RCC_APB1ENR1_PWREN);
    tb_register_change(PWR_CR2, 0, PWR_CR2_IOSV);
}

/* As after reset, in case somebody was here before: MSI at 4 MHz drives the core, the PLL is off. */
static const char *return_to_msi(void) {
    tb_register_change(RCC_CR, 0, RCC_CR_MSION);
    if (!tb_register_await(RCC_CR, RCC_CR_MSIRDY, RCC_CR_MSIRDY, TB_CLOCK_POLLS)) {
        return "e-[MSI does not start]";
    }
    tb_register_change(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_MSI);
    if (!tb_register_await(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_MSI, TB_CLOCK_POLLS)) {
        return "e-[MSI is not taken]";
    }
    tb_register_change(RCC_CFGR, RCC_CFGR_PRESCALERS, 0);
    tb_register_change(RCC_CR, RCC_CR_MSIRANGE, RCC_CR_MSIRANGE_6);
    tb_register_change(RCC_CR, 0, RCC_CR_MSIRGSEL);
    tb_register_change(RCC_CR, RCC_CR_PLLON, 0);
    return tb_register_await(RCC_CR, RCC_CR_PLLRDY, 0, TB_CLOCK_POLLS) ? NULL : "e-[PLL does not stop]";
}

/* MSI alone is off by a per cent and more; held by the crystal it is off by less than 0.25 % (RM0432 6.2.3,
 * hardware auto calibration with LSE). MSIPLLEN may be set only when LSE is ready. */
static const char *hold_msi_by_crystal(void) {
    tb_stm32l4_enable(TB_STM32L4_APB1ENR1, RCC_APB1ENR1_PWREN);
    tb_register_change(PWR_CR1, 0, PWR_CR1_DBP);
    if (!tb_register_await(PWR_CR1, PWR_CR1_DBP, PWR_CR1_DBP, TB_CLOCK_POLLS)) {
        return "e-[Backup domain stays closed]";
    }
    tb_register_change(RCC_BDCR, 0, RCC_BDCR_LSEON);
    if (!tb_register_await(RCC_BDCR, RCC_BDCR_LSERDY, RCC_BDCR_LSERDY, CRYSTAL_POLLS_PER_POLL * TB_CLOCK_POLLS)) {
        return "e-[LSE does not start]";
    }
    tb_register_change(RCC_CR, 0, RCC_CR_MSIPLLEN);
    return NULL;
}

static const char *raise_voltage(bool boost) {
    tb_register_change(PWR_CR1, PWR_CR1_VOS, PWR_CR1_VOS_0);
    if (!tb_register_await(PWR_SR2, PWR_SR2_VOSF, 0, TB_CLOCK_POLLS)) {
        return "e-[No voltage range 1]";
    }
    if (boost) {
        tb_register_change(PWR_CR5, PWR_CR5_R1MODE, 0);
    }
    return NULL;
}

/* Latency rises before the clock does, and must be read back (RM0432 3.3.3). */
static const char *slow_flash_down(uint32_t wait_states) {
    tb_register_change(FLASH_ACR, FLASH_ACR_LATENCY, wait_states);
    if (!tb_register_await(FLASH_ACR, FLASH_ACR_LATENCY, wait_states, TB_CLOCK_POLLS)) {
        return "e-[Flash latency not taken]";
    }
    tb_register_change(FLASH_ACR, FLASH_ACR_PRFTEN | FLASH_ACR_ICEN | FLASH_ACR_DCEN, FLASH_ACR_WANTED);
    return NULL;
}

static const char *start_pll(uint32_t multiplier) {
    tb_register_put(RCC_PLLCFGR,
                    RCC_PLLCFGR_PLLSRC_MSI | (multiplier << RCC_PLLCFGR_PLLN_Pos) | RCC_PLLCFGR_PLLREN);
    tb_register_change(RCC_CR, 0, RCC_CR_PLLON);
    return tb_register_await(RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY, TB_CLOCK_POLLS) ? NULL : "e-[PLL does not lock]";
}

/* Beyond 80 MHz the regulator wants a microsecond at half the speed on the way (RM0432 5.1.8). */
static const char *switch_to_pll(bool by_half) {
    tb_register_change(RCC_CFGR, RCC_CFGR_HPRE, by_half ? RCC_CFGR_HPRE_DIV2 : 0);
    tb_register_change(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_PLL);
    if (!tb_register_await(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL, TB_CLOCK_POLLS)) {
        return "e-[PLL is not taken]";
    }
    for (uint32_t turn = 0; turn < TURNS_AT_HALF_SPEED; turn++) {
        TB_BARRIER();
    }
    tb_register_change(RCC_CFGR, RCC_CFGR_HPRE, 0);
    return NULL;
}

static const char *start(tb_stm32l4_clock wanted) {
    const char *missing = return_to_msi();
    if (missing == NULL) {
        missing = hold_msi_by_crystal();
    }
    if (missing == NULL) {
        missing = raise_voltage(wanted.boost);
    }
    if (missing == NULL) {
        missing = slow_flash_down(wanted.wait_states);
    }
    if (missing == NULL) {
        missing = start_pll(wanted.multiplier);
    }
    return missing == NULL ? switch_to_pll(wanted.boost) : missing;
}

const char *tb_stm32l4_start_clock(tb_stm32l4_clock wanted) {
    const char *missing = start(wanted);
    if (missing != NULL) {
        (void)return_to_msi();
    }
    return missing;
}
