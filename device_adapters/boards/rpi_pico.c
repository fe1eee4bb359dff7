/* Raspberry Pi Pico: 125 MHz from the 12 MHz crystal, UART0 on pins 1 and 2 (where a Debug Probe's serial port is
 * wired), marker on GP7.
 *
 * Addresses and bits: the Pico SDK's register headers (src/rp2040/hardware_regs), by the names given. Order: RP2040
 * data sheet, chapters 2.14 (resets), 2.15 (clocks), 2.16 (XOSC), 2.18 (PLL), 4.2 (UART), 4.7.2 (ticks). */
#include "registers.h"
#include "tb_port.h"
#include "tb_target.h"
#include "text.h"

#define CLOCKS_BASE 0x40008000U
#define RESETS_BASE 0x4000C000U
#define IO_BANK0_BASE 0x40014000U
#define XOSC_BASE 0x40024000U
#define PLL_SYS_BASE 0x40028000U
#define UART0_BASE 0x40034000U
#define WATCHDOG_BASE 0x40058000U
#define SIO_BASE 0xD0000000U

#define RESETS_RESET (RESETS_BASE + 0x00U)
#define RESETS_RESET_DONE (RESETS_BASE + 0x08U)
#define RESETS_RESET_IO_BANK0_BITS (1U << 5)
#define RESETS_RESET_PADS_BANK0_BITS (1U << 8)
#define RESETS_RESET_PLL_SYS_BITS (1U << 12)
#define RESETS_RESET_TIMER_BITS (1U << 21)
#define RESETS_RESET_UART0_BITS (1U << 22)

#define XOSC_CTRL (XOSC_BASE + 0x00U)
#define XOSC_CTRL_ENABLE (0xFABU << 12)
#define XOSC_CTRL_FREQ_RANGE_1_15MHZ 0xAA0U
#define XOSC_STATUS (XOSC_BASE + 0x04U)
#define XOSC_STATUS_STABLE_BITS (1U << 31)
#define XOSC_STARTUP (XOSC_BASE + 0x0CU)

#define PLL_CS (PLL_SYS_BASE + 0x00U)
#define PLL_CS_LOCK_BITS (1U << 31)
#define PLL_PWR (PLL_SYS_BASE + 0x04U)
#define PLL_PWR_PD_BITS (1U << 0)
#define PLL_PWR_POSTDIVPD_BITS (1U << 3)
#define PLL_PWR_VCOPD_BITS (1U << 5)
#define PLL_FBDIV_INT (PLL_SYS_BASE + 0x08U)
#define PLL_PRIM (PLL_SYS_BASE + 0x0CU)
#define PLL_PRIM_POSTDIV1_LSB 16U
#define PLL_PRIM_POSTDIV2_LSB 12U

#define CLK_REF_CTRL (CLOCKS_BASE + 0x30U)
#define CLK_REF_CTRL_SRC_XOSC 0x2U
#define CLK_REF_SELECTED (CLOCKS_BASE + 0x38U)
#define CLK_SYS_CTRL (CLOCKS_BASE + 0x3CU)
#define CLK_SYS_CTRL_SRC 0x1U /* 0: clk_ref, 1: what AUXSRC names; AUXSRC 0: the system PLL */
#define CLK_SYS_CTRL_AUXSRC (7U << 5)
#define CLK_SYS_DIV (CLOCKS_BASE + 0x40U)
#define CLK_SYS_DIV_1 (1U << 8)
#define CLK_SYS_SELECTED (CLOCKS_BASE + 0x44U)
#define CLK_PERI_CTRL (CLOCKS_BASE + 0x48U)
#define CLK_PERI_CTRL_ENABLE_BITS (1U << 11) /* AUXSRC 0: clk_sys */

#define WATCHDOG_TICK (WATCHDOG_BASE + 0x2CU)
#define WATCHDOG_TICK_ENABLE_BITS (1U << 9)

enum { UARTDR = 0x00, UARTRSR = 0x04, UARTFR = 0x18, UARTIBRD = 0x24, UARTFBRD = 0x28, UARTLCR_H = 0x2C, UARTCR = 0x30 };
#define UARTFR_BUSY (1U << 3)
#define UARTFR_RXFE (1U << 4)
#define UARTFR_TXFF (1U << 5)
#define UARTLCR_H_FEN (1U << 4)
#define UARTLCR_H_WLEN_8 (3U << 5)
#define UARTCR_UARTEN_TXE_RXE 0x301U

enum { FUNCSEL_UART = 2, FUNCSEL_SIO = 5, BYTES_PER_GPIO = 8, GPIO_CTRL = 4 };
enum { SIO_GPIO_OUT_SET = 0x14, SIO_GPIO_OUT_CLR = 0x18, SIO_GPIO_OE_SET = 0x24 };
enum { TX = 0, RX = 1, MARKER = 7 };

/* 12 MHz * 125 = 1500 MHz (VCO: 750 to 1600 MHz), divided by 6 and by 2 (data sheet 2.18.2). */
enum { XOSC_HZ = 12000000, XOSC_MHZ = 12, FBDIV = 125, POSTDIV1 = 6, POSTDIV2 = 2 };
_Static_assert(XOSC_HZ / (POSTDIV1 * POSTDIV2) * FBDIV == TB_CLOCK_HZ, "the clock is the one that the target promises");

/* 1 ms in units of 256 periods of 12 MHz (data sheet 2.16.3). */
enum { XOSC_STARTUP_1MS = 47 };

/* How often a ready bit is asked for. A poll takes some eight cycles of at most 12 MHz: a million are 0.6 s. */
#ifndef TB_CLOCK_POLLS
#define TB_CLOCK_POLLS 1000000U
#endif

enum { FRACTIONS = 64, BITS_PER_SAMPLE = 16, MOST_DIVIDER = 0xFFFF };

static uint32_t uart_clock_hz = TB_CLOCK_HZ;

/* In 64ths, rounded (data sheet 4.2.7.1). */
static uint32_t divider(uint32_t baud) {
    return (uart_clock_hz * (FRACTIONS / BITS_PER_SAMPLE) + baud / 2U) / baud;
}

static bool leave_reset(uint32_t bits) {
    tb_register_change(RESETS_RESET, bits, 0);
    return tb_register_await(RESETS_RESET_DONE, bits, bits, TB_CLOCK_POLLS);
}

static void connect(uint32_t pin, uint32_t function) {
    tb_register_put(IO_BANK0_BASE + pin * BYTES_PER_GPIO + GPIO_CTRL, function);
}

/* The divider takes effect when LCR_H is written (data sheet 4.2.7.1). */
static void set_line(uint32_t baud) {
    const uint32_t ratio = divider(baud);
    tb_register_put(UART0_BASE + UARTCR, 0);
    tb_register_put(UART0_BASE + UARTIBRD, ratio / FRACTIONS);
    tb_register_put(UART0_BASE + UARTFBRD, ratio % FRACTIONS);
    tb_register_put(UART0_BASE + UARTLCR_H, UARTLCR_H_FEN | UARTLCR_H_WLEN_8);
    tb_register_put(UART0_BASE + UARTCR, UARTCR_UARTEN_TXE_RXE);
}

static void start_serial_port(void) {
    tb_register_put(CLK_PERI_CTRL, CLK_PERI_CTRL_ENABLE_BITS);
    (void)leave_reset(RESETS_RESET_IO_BANK0_BITS | RESETS_RESET_PADS_BANK0_BITS | RESETS_RESET_UART0_BITS);
    connect(TX, FUNCSEL_UART);
    connect(RX, FUNCSEL_UART);
    set_line(TB_BAUD);
}

/* Says what is missing, at the crystal's speed, and never returns: no number may come from a clock that is not the
 * one promised. Without a crystal the ring oscillator makes a rate that nobody can read: then it is silent. */
static void stop(const char *missing) {
    tb_register_change(CLK_SYS_CTRL, CLK_SYS_CTRL_SRC, 0);
    uart_clock_hz = XOSC_HZ;
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

static void start_crystal(void) {
    tb_register_put(XOSC_CTRL, XOSC_CTRL_FREQ_RANGE_1_15MHZ);
    tb_register_put(XOSC_STARTUP, XOSC_STARTUP_1MS);
    tb_register_put(XOSC_CTRL, XOSC_CTRL_ENABLE | XOSC_CTRL_FREQ_RANGE_1_15MHZ);
    await(XOSC_STATUS, XOSC_STATUS_STABLE_BITS, XOSC_STATUS_STABLE_BITS, "e-[Crystal does not start]");
    tb_register_change(CLK_SYS_CTRL, CLK_SYS_CTRL_SRC, 0);
    await(CLK_SYS_SELECTED, 3U, 1U, "e-[System clock stays]");
    tb_register_put(CLK_REF_CTRL, CLK_REF_CTRL_SRC_XOSC);
    await(CLK_REF_SELECTED, 0xFU, 1U << CLK_REF_CTRL_SRC_XOSC, "e-[Crystal is not taken]");
}

/* From reset: VCO first, its dividers when it is locked (data sheet 2.18.3). */
static void start_pll(void) {
    tb_register_change(RESETS_RESET, 0, RESETS_RESET_PLL_SYS_BITS);
    if (!leave_reset(RESETS_RESET_PLL_SYS_BITS)) {
        stop("e-[PLL stays in reset]");
    }
    tb_register_put(PLL_CS, 1);
    tb_register_put(PLL_FBDIV_INT, FBDIV);
    tb_register_change(PLL_PWR, PLL_PWR_PD_BITS | PLL_PWR_VCOPD_BITS, 0);
    await(PLL_CS, PLL_CS_LOCK_BITS, PLL_CS_LOCK_BITS, "e-[PLL does not lock]");
    tb_register_put(PLL_PRIM, (POSTDIV1 << PLL_PRIM_POSTDIV1_LSB) | (POSTDIV2 << PLL_PRIM_POSTDIV2_LSB));
    tb_register_change(PLL_PWR, PLL_PWR_POSTDIVPD_BITS, 0);
}

/* The auxiliary source is chosen while nobody listens to it (data sheet 2.15.3.2). */
static void switch_to_pll(void) {
    tb_register_put(CLK_SYS_DIV, CLK_SYS_DIV_1);
    tb_register_change(CLK_SYS_CTRL, CLK_SYS_CTRL_AUXSRC, 0);
    tb_register_change(CLK_SYS_CTRL, 0, CLK_SYS_CTRL_SRC);
    await(CLK_SYS_SELECTED, 3U, 2U, "e-[PLL is not taken]");
}

/* One tick a microsecond, from the crystal. */
static void start_timer(void) {
    tb_register_put(WATCHDOG_TICK, WATCHDOG_TICK_ENABLE_BITS | XOSC_MHZ);
    if (!leave_reset(RESETS_RESET_TIMER_BITS)) {
        stop("e-[Timer stays in reset]");
    }
}

void tb_port_init(void) {
    start_crystal();
    start_pll();
    switch_to_pll();
    start_timer();
    start_serial_port();
    tb_port_marker(false);
    tb_register_put(SIO_BASE + SIO_GPIO_OE_SET, 1U << MARKER);
    connect(MARKER, FUNCSEL_SIO);
}

int tb_port_read(void) {
    if ((tb_register_get(UART0_BASE + UARTFR) & UARTFR_RXFE) != 0) {
        return -1;
    }
    return (int)(tb_register_get(UART0_BASE + UARTDR) & 0xFFU);
}

/* A transmitter that does not move is given up: the fault report must not hang on a line that is off. */
void tb_port_write(const char *data, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        if (!tb_register_await(UART0_BASE + UARTFR, UARTFR_TXFF, 0, TB_CLOCK_POLLS)) {
            return;
        }
        tb_register_put(UART0_BASE + UARTDR, (uint8_t)data[i]);
    }
    (void)tb_register_await(UART0_BASE + UARTFR, UARTFR_BUSY, 0, TB_CLOCK_POLLS);
}

bool tb_port_baud_possible(uint32_t baud) {
    if (baud == 0 || baud > TB_FASTEST_BAUD) {
        return false;
    }
    const uint32_t ratio = divider(baud);
    return ratio >= FRACTIONS && ratio / FRACTIONS <= MOST_DIVIDER;
}

void tb_port_set_baud(uint32_t baud) {
    set_line(baud);
}

void tb_port_marker(bool high) {
    tb_register_put(SIO_BASE + (high ? SIO_GPIO_OUT_SET : SIO_GPIO_OUT_CLR), 1U << MARKER);
}
