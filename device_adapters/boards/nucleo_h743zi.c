/* NUCLEO-H743ZI: 400 MHz from the ST-LINK's 8 MHz, caches, USART3 to the ST-LINK's virtual COM port, marker on
 * Arduino D7. 400 MHz at voltage scale 1 is the most that every revision of the chip takes: 480 MHz needs scale 0,
 * which revision Y does not have (ES0392; DS12110, general operating conditions).
 *
 * Addresses and bits: ST's CMSIS header stm32h743xx.h, by the names given. What must happen in which order: RM0433,
 * chapters 4 (flash), 6 (PWR), 8 (RCC). Pins: UM1974 (Nucleo-144, MB1137); alternate functions: DS12110. */
#include <stddef.h>

#include "cortex_m/caches.h"
#include "registers.h"
#include "st/gpio.h"
#include "st/usart_v2.h"
#include "tb_port.h"
#include "tb_target.h"
#include "text.h"

#define USART3_BASE 0x40004800U  /* D2_APB1PERIPH_BASE + 0x4800 */
#define FLASH_R_BASE 0x52002000U /* D1_AHB1PERIPH_BASE + 0x2000 */
#define GPIOD_BASE 0x58020C00U   /* D3_AHB1PERIPH_BASE + 0x0C00 */
#define GPIOF_BASE 0x58021400U   /* D3_AHB1PERIPH_BASE + 0x1400 */
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

#define RCC_D2CCIP2R (RCC_BASE + 0x54U)
#define RCC_D2CCIP2R_USART28SEL 0x7U /* 0: rcc_pclk1 */
#define RCC_AHB4ENR (RCC_BASE + 0xE0U)
#define RCC_AHB4ENR_GPIODEN (1U << 3)
#define RCC_AHB4ENR_GPIOFEN (1U << 5)
#define RCC_APB1LENR (RCC_BASE + 0xE8U)
#define RCC_APB1LENR_USART3EN (1U << 18)

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
#define FLASH_ACR_LATENCY_2WS 0x02U
#define FLASH_ACR_WRHIGHFREQ_2 0x20U

/* 8 MHz / 2 = 4 MHz into the PLL, times 200 = 800 MHz (wide VCO: 192 to 836 MHz on revision Y), divided by 2 for
 * the core; AXI and AHB get half of that (200 MHz at most), each APB a quarter (100 MHz at most): DS12110, general
 * operating conditions, voltage scale 1. */
enum {
    HSE_HZ = 8000000,
    HSI_HZ = 64000000,
    DIVM = 2,
    DIVN = 200,
    DIVP = 2,
    PCLK1_DIVIDER = 4
};

_Static_assert(HSE_HZ / DIVM * DIVN / DIVP == TB_CLOCK_HZ, "the clock is the one that the target promises");

/* How often a ready bit is asked for. A poll takes some ten cycles of 64 MHz: a million are 0.15 s, where PLL and
 * regulator need less than a millisecond. */
#ifndef TB_CLOCK_POLLS
#define TB_CLOCK_POLLS 1000000U
#endif

enum { AF7_USART3 = 7 };
static const tb_pin TX = {.port = GPIOD_BASE, .number = 8};
static const tb_pin RX = {.port = GPIOD_BASE, .number = 9};
/* PF13 is Arduino D7 on Zio connector CN10 of MB1137 (NUCLEO-H743ZI); on the NUCLEO-H743ZI2 it is on CN11. */
static const tb_pin MARKER = {.port = GPIOF_BASE, .number = 13};

static tb_usart usart = {.address = USART3_BASE, .clock_hz = TB_CLOCK_HZ / PCLK1_DIVIDER};

/* Reading the bit back gives the peripheral the two cycles it needs (RM0433 8.5.11). */
static void start_clock_of(uint32_t enable_register, uint32_t bits) {
    tb_register_change(enable_register, 0, bits);
    (void)tb_register_get(enable_register);
}

static void start_serial_port(void) {
    start_clock_of(RCC_AHB4ENR, RCC_AHB4ENR_GPIODEN);
    start_clock_of(RCC_APB1LENR, RCC_APB1LENR_USART3EN);
    tb_register_change(RCC_D2CCIP2R, RCC_D2CCIP2R_USART28SEL, 0);
    tb_gpio_connect(TX, AF7_USART3);
    tb_gpio_connect(RX, AF7_USART3);
    tb_usart_start(&usart, TB_BAUD);
}

static void undo_prescalers(void) {
    tb_register_change(RCC_D1CFGR, RCC_D1CFGR_PRESCALERS, 0);
    tb_register_change(RCC_D2CFGR, RCC_D2CFGR_PRESCALERS, 0);
    tb_register_change(RCC_D3CFGR, RCC_D3CFGR_D3PPRE, 0);
}

/* Says what is missing, at the speed that HSI can make, and never returns: no number may come from a clock that is
 * not the one promised. */
static void stop(const char *missing) {
    tb_register_change(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_HSI);
    undo_prescalers();
    usart.clock_hz = HSI_HZ;
    start_serial_port();
    tb_say(missing);
    for (;;) {
    }
}

/* Goes on once the bits of `mask` read as `value`. */
static void await(uint32_t address, uint32_t mask, uint32_t value, const char *missing) {
    if (!tb_register_await(address, mask, value, TB_CLOCK_POLLS)) {
        stop(missing);
    }
}

/* As after reset, in case somebody was here before: HSI drives the core, PLL and HSE are off. */
static void return_to_hsi(void) {
    tb_register_change(RCC_CR, RCC_CR_HSIDIV, RCC_CR_HSION);
    await(RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY, "e-[HSI does not start]");
    tb_register_change(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_HSI);
    await(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_HSI, "e-[HSI is not taken]");
    undo_prescalers();
    tb_register_change(RCC_CR, RCC_CR_PLL1ON, 0);
    await(RCC_CR, RCC_CR_PLL1RDY, 0, "e-[PLL does not stop]");
    tb_register_change(RCC_CR, RCC_CR_HSEON, 0);
    await(RCC_CR, RCC_CR_HSERDY, 0, "e-[HSE does not stop]");
}

/* The supply is chosen once after power-on, even where it is the one after reset: before that the voltage cannot be
 * changed (RM0433 6.4.1, 6.8.4). Here it is the LDO (UM1974). */
static void raise_voltage(void) {
    tb_register_change(PWR_CR3, PWR_CR3_SUPPLY, PWR_CR3_LDOEN);
    await(PWR_CSR1, PWR_CSR1_ACTVOSRDY, PWR_CSR1_ACTVOSRDY, "e-[No supply]");
    tb_register_change(PWR_D3CR, 0, PWR_D3CR_VOS);
    await(PWR_D3CR, PWR_D3CR_VOSRDY, PWR_D3CR_VOSRDY, "e-[No voltage scale 1]");
}

static void start_hse(void) {
    tb_register_change(RCC_CR, 0, RCC_CR_HSEBYP);
    tb_register_change(RCC_CR, 0, RCC_CR_HSEON);
    await(RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY, "e-[HSE does not start]");
}

/* The fields hold one less than they divide or multiply by; Q and R are not let out. */
static void start_pll(void) {
    tb_register_change(RCC_PLLCKSELR, RCC_PLLCKSELR_FIELDS,
                       (DIVM << RCC_PLLCKSELR_DIVM1_Pos) | RCC_PLLCKSELR_PLLSRC_HSE);
    tb_register_change(RCC_PLLCFGR, RCC_PLLCFGR_PLL1, RCC_PLLCFGR_PLL1RGE_2 | RCC_PLLCFGR_DIVP1EN);
    tb_register_put(RCC_PLL1DIVR, (DIVN - 1U) | ((DIVP - 1U) << RCC_PLL1DIVR_P1_Pos) |
                                      (1U << RCC_PLL1DIVR_Q1_Pos) | (1U << RCC_PLL1DIVR_R1_Pos));
    tb_register_change(RCC_CR, 0, RCC_CR_PLL1ON);
    await(RCC_CR, RCC_CR_PLL1RDY, RCC_CR_PLL1RDY, "e-[PLL does not lock]");
}

/* 185 to 210 MHz on AXI at scale 1 (RM0433 table 17). After reset there are seven wait states. */
static void set_flash(void) {
    const uint32_t wanted = FLASH_ACR_LATENCY_2WS | FLASH_ACR_WRHIGHFREQ_2;
    tb_register_change(FLASH_ACR, FLASH_ACR_FIELDS, wanted);
    await(FLASH_ACR, FLASH_ACR_FIELDS, wanted, "e-[Flash latency not taken]");
}

static void switch_to_pll(void) {
    tb_register_change(RCC_D1CFGR, RCC_D1CFGR_PRESCALERS, RCC_D1CFGR_HPRE_DIV2 | RCC_D1CFGR_D1PPRE_DIV2);
    tb_register_change(RCC_D2CFGR, RCC_D2CFGR_PRESCALERS, RCC_D2CFGR_D2PPRE1_DIV2 | RCC_D2CFGR_D2PPRE2_DIV2);
    tb_register_change(RCC_D3CFGR, RCC_D3CFGR_D3PPRE, RCC_D3CFGR_D3PPRE_DIV2);
    tb_register_change(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_PLL1);
    await(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL1, "e-[PLL is not taken]");
}

void tb_port_init(void) {
    return_to_hsi();
    raise_voltage();
    start_hse();
    start_pll();
    set_flash();
    switch_to_pll();
    tb_caches_enable();
    start_clock_of(RCC_AHB4ENR, RCC_AHB4ENR_GPIOFEN);
    tb_gpio_drive(MARKER);
    start_serial_port();
}

int tb_port_read(void) {
    return tb_usart_read(&usart);
}

void tb_port_write(const char *data, uint32_t length) {
    tb_usart_write(&usart, data, length);
}

bool tb_port_baud_possible(uint32_t baud) {
    return baud <= TB_FASTEST_BAUD && tb_usart_baud_possible(&usart, baud);
}

void tb_port_set_baud(uint32_t baud) {
    tb_usart_start(&usart, baud);
}

void tb_port_marker(bool high) {
    tb_gpio_set(MARKER, high);
}
