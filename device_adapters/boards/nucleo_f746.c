/* NUCLEO-F746ZG: 216 MHz from the ST-LINK's 8 MHz, caches, USART3 to the ST-LINK's virtual COM port, marker on
 * Arduino D7.
 *
 * Addresses and bits: ST's CMSIS header stm32f746xx.h, by the names given. What must happen in which order:
 * RM0385 (STM32F75xxx and STM32F74xxx reference manual), chapters 3 (flash), 4 (PWR), 5 (RCC), 6 (GPIO),
 * 31 (USART). Pins: UM1974 (Nucleo-144, MB1137); alternate functions: DS10916, alternate function mapping. */
#include "cortex_m/caches.h"
#include "registers.h"
#include "st/usart_v2.h"
#include "tb_port.h"
#include "tb_target.h"
#include "text.h"

/* Base addresses: PERIPH_BASE 0x40000000, APB1 + 0, AHB1 + 0x20000. */
#define USART3_BASE 0x40004800U  /* APB1PERIPH_BASE + 0x4800 */
#define PWR_BASE 0x40007000U     /* APB1PERIPH_BASE + 0x7000 */
#define GPIOD_BASE 0x40020C00U   /* AHB1PERIPH_BASE + 0x0C00 */
#define GPIOF_BASE 0x40021400U   /* AHB1PERIPH_BASE + 0x1400 */
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
#define RCC_PLLCFGR_FIELDS 0x0F437FFFU /* PLLM, PLLN, PLLP, PLLSRC, PLLQ; the other bits are reserved */

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

#define RCC_AHB1ENR (RCC_BASE + 0x30U)
#define RCC_AHB1ENR_GPIODEN (1U << 3)
#define RCC_AHB1ENR_GPIOFEN (1U << 5)
#define RCC_APB1ENR (RCC_BASE + 0x40U)
#define RCC_APB1ENR_USART3EN (1U << 18)
#define RCC_APB1ENR_PWREN (1U << 28)
#define RCC_DCKCFGR2 (RCC_BASE + 0x90U)
#define RCC_DCKCFGR2_USART3SEL (3U << 4) /* 0: clocked by PCLK1 */

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

enum { GPIO_MODER = 0x00, GPIO_OSPEEDR = 0x08, GPIO_PUPDR = 0x0C, GPIO_BSRR = 0x18, GPIO_AFRH = 0x24 };

/* 8 MHz / 8 = 1 MHz into the PLL (0.95 to 2.1 allowed), times 432 (VCO: 100 to 432 MHz), divided by 2. PLLQ
 * feeds USB only: 432 / 9 = 48 MHz. RM0385 5.3.2, RCC_PLLCFGR. */
enum {
    HSE_HZ = 8000000,
    HSI_HZ = 16000000,
    PLLM = 8,
    PLLN = 432,
    PLLP = 2,
    PLLP_DIV2 = 0, /* PLLP holds 0 for 2, 1 for 4, … */
    PLLQ = 9,
    PCLK1_DIVIDER = 4 /* PCLK1: 54 MHz at most, PCLK2: 108 MHz (DS10916, general operating conditions) */
};

_Static_assert(HSE_HZ / PLLM * PLLN / PLLP == TB_CLOCK_HZ, "the clock is the one that the target promises");

/* How often a ready bit is asked for. A poll takes some six cycles: a million are at least 25 ms at 216 MHz and
 * 0.4 s at HSI's 16 MHz, where HSE in bypass and PLL need microseconds and over-drive less than 0.1 ms. */
#ifndef TB_CLOCK_POLLS
#define TB_CLOCK_POLLS 1000000U
#endif

/* The marker: PF13, Arduino D7 on Zio connector CN10, free on this board; MLPerf Tiny marks with D7 as well. */
enum { MARKER_PIN = 13, TX_PIN = 8, RX_PIN = 9, AF7_USART3 = 7, BITS_PER_AF = 4, FIRST_PIN_OF_AFRH = 8 };
enum { MODE_OUTPUT = 1, MODE_ALTERNATE = 2, SPEED_MEDIUM = 1, PULL_UP = 1, BITS_PER_MODE = 2 };

static tb_usart usart = {.address = USART3_BASE, .clock_hz = TB_CLOCK_HZ / PCLK1_DIVIDER};

/* Two bits of each pin, in MODER, OSPEEDR or PUPDR. */
static void set_pin(uint32_t address, uint32_t pin, uint32_t value) {
    tb_register_change(address, 3U << (pin * BITS_PER_MODE), value << (pin * BITS_PER_MODE));
}

static void connect_usart(uint32_t pin) {
    const uint32_t shift = (pin - FIRST_PIN_OF_AFRH) * BITS_PER_AF;
    tb_register_change(GPIOD_BASE + GPIO_AFRH, 0xFU << shift, (uint32_t)AF7_USART3 << shift);
    set_pin(GPIOD_BASE + GPIO_OSPEEDR, pin, SPEED_MEDIUM);
    set_pin(GPIOD_BASE + GPIO_PUPDR, pin, PULL_UP);
    set_pin(GPIOD_BASE + GPIO_MODER, pin, MODE_ALTERNATE);
}

/* Reading the enable bit back gives the peripheral the two cycles it needs (RM0385 5.2, peripheral clocks). */
static void start_clock_of(uint32_t enable_register, uint32_t bits) {
    tb_register_change(enable_register, 0, bits);
    (void)tb_register_get(enable_register);
}

static void start_serial_port(void) {
    start_clock_of(RCC_AHB1ENR, RCC_AHB1ENR_GPIODEN);
    start_clock_of(RCC_APB1ENR, RCC_APB1ENR_USART3EN);
    tb_register_change(RCC_DCKCFGR2, RCC_DCKCFGR2_USART3SEL, 0);
    connect_usart(TX_PIN);
    connect_usart(RX_PIN);
    tb_usart_start(&usart, TB_BAUD);
}

static void start_marker(void) {
    start_clock_of(RCC_AHB1ENR, RCC_AHB1ENR_GPIOFEN);
    tb_port_marker(false);
    set_pin(GPIOF_BASE + GPIO_MODER, MARKER_PIN, MODE_OUTPUT);
}

/* Says what is missing, at the speed that 16 MHz can make, and never returns: no number may come from a clock
 * that is not the one promised. */
static void stop(const char *error) {
    tb_register_change(RCC_CFGR, RCC_CFGR_SW | RCC_CFGR_PRESCALERS, RCC_CFGR_SW_HSI | RCC_CFGR_HPRE_DIV1);
    usart.clock_hz = HSI_HZ;
    start_serial_port();
    tb_say(error);
    for (;;) {
    }
}

/* Goes on once the bits of `mask` read as `value`. */
static void await(uint32_t address, uint32_t mask, uint32_t value, const char *error) {
    if (!tb_register_await(address, mask, value, TB_CLOCK_POLLS)) {
        stop(error);
    }
}

/* As after reset, in case somebody was here before: HSI drives the core, PLL and HSE are off. HSEBYP may be
 * written only while HSE is off, PLLCFGR only while the PLL is (RM0385 5.3.1, 5.3.2). */
static void return_to_hsi(void) {
    tb_register_change(RCC_CR, 0, RCC_CR_HSION);
    await(RCC_CR, RCC_CR_HSIRDY, RCC_CR_HSIRDY, "e-[HSI does not start]");
    tb_register_change(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_HSI);
    await(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_HSI, "e-[HSI is not taken]");
    tb_register_change(RCC_CR, RCC_CR_PLLON, 0);
    await(RCC_CR, RCC_CR_PLLRDY, 0, "e-[PLL does not stop]");
    tb_register_change(RCC_CR, RCC_CR_HSEON, 0);
    await(RCC_CR, RCC_CR_HSERDY, 0, "e-[HSE does not stop]");
}

static void start_hse(void) {
    tb_register_change(RCC_CR, 0, RCC_CR_HSEBYP);
    tb_register_change(RCC_CR, 0, RCC_CR_HSEON);
    await(RCC_CR, RCC_CR_HSERDY, RCC_CR_HSERDY, "e-[HSE does not start]");
}

/* Scale 1 is chosen while the PLL is off, and reported once it is on (RM0385 4.1, voltage regulator). */
static void start_pll(void) {
    start_clock_of(RCC_APB1ENR, RCC_APB1ENR_PWREN);
    tb_register_change(PWR_CR1, 0, PWR_CR1_VOS);
    tb_register_change(RCC_PLLCFGR, RCC_PLLCFGR_FIELDS,
                       (PLLM << RCC_PLLCFGR_PLLM_Pos) | (PLLN << RCC_PLLCFGR_PLLN_Pos) |
                           (PLLP_DIV2 << RCC_PLLCFGR_PLLP_Pos) | RCC_PLLCFGR_PLLSRC_HSE |
                           ((uint32_t)PLLQ << RCC_PLLCFGR_PLLQ_Pos));
    tb_register_change(RCC_CR, 0, RCC_CR_PLLON);
}

/* Over-drive is entered with HSI or HSE driving the core and the PLL started: first on, then switched to
 * (RM0385 4.1, entering over-drive mode). */
static void enter_over_drive(void) {
    tb_register_change(PWR_CR1, 0, PWR_CR1_ODEN);
    await(PWR_CSR1, PWR_CSR1_ODRDY, PWR_CSR1_ODRDY, "e-[No over-drive]");
    tb_register_change(PWR_CR1, 0, PWR_CR1_ODSWEN);
    await(PWR_CSR1, PWR_CSR1_ODSWRDY, PWR_CSR1_ODSWRDY, "e-[No switch to over-drive]");
}

/* Latency rises before the clock does, and must be read back (RM0385 3.3, read access latency). ART and its
 * prefetch serve reads through the ITCM alias of the flash only; what is read at 0x08000000 goes by AXI and the
 * caches. They are on all the same, as in ST's own start-up. */
static void slow_flash_down(void) {
    tb_register_change(FLASH_ACR, FLASH_ACR_LATENCY, FLASH_ACR_LATENCY_7WS);
    await(FLASH_ACR, FLASH_ACR_LATENCY, FLASH_ACR_LATENCY_7WS, "e-[Flash latency not taken]");
    tb_register_change(FLASH_ACR, 0, FLASH_ACR_PRFTEN | FLASH_ACR_ARTEN);
}

static void switch_to_pll(void) {
    tb_register_change(RCC_CFGR, RCC_CFGR_PRESCALERS,
                       RCC_CFGR_HPRE_DIV1 | RCC_CFGR_PPRE1_DIV4 | RCC_CFGR_PPRE2_DIV2);
    await(RCC_CR, RCC_CR_PLLRDY, RCC_CR_PLLRDY, "e-[PLL does not lock]");
    await(PWR_CSR1, PWR_CSR1_VOSRDY, PWR_CSR1_VOSRDY, "e-[No voltage scale 1]");
    tb_register_change(RCC_CFGR, RCC_CFGR_SW, RCC_CFGR_SW_PLL);
    await(RCC_CFGR, RCC_CFGR_SWS, RCC_CFGR_SWS_PLL, "e-[PLL is not taken]");
}

void tb_port_init(void) {
    return_to_hsi();
    start_hse();
    start_pll();
    enter_over_drive();
    slow_flash_down();
    switch_to_pll();
    tb_caches_enable();
    start_marker();
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

/* BSRR: the lower half sets, the upper half clears (RM0385 6.4.7). */
void tb_port_marker(bool high) {
    tb_register_put(GPIOF_BASE + GPIO_BSRR, 1U << (high ? MARKER_PIN : MARKER_PIN + 16));
}
