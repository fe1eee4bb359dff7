/* nRF52840 DK: 64 MHz from the 32 MHz crystal, instruction cache, UART0 to the debug probe's virtual COM port,
 * marker on Arduino D7.
 *
 * Addresses and bits: Nordic's headers nrf52840.h and nrf52840_bitfields.h (nrfx), by the names given. Order:
 * nRF52840 Product Specification (4413_417), chapters CLOCK, NVMC, UART, GPIO. Pins: nRF52840 DK user guide
 * (PCA10056), virtual COM port and Arduino connector. */
#include "nrf/uart.h"
#include "registers.h"
#include "tb_port.h"
#include "tb_target.h"
#include "text.h"

#define NRF_CLOCK_BASE 0x40000000U /* NRF_APPROTECT_BASE is the same */
#define NRF_UART0_BASE 0x40002000U
#define NRF_NVMC_BASE 0x4001E000U
#define NRF_P0_BASE 0x50000000U
#define NRF_P1_BASE 0x50000300U

#define CLOCK_TASKS_HFCLKSTART (NRF_CLOCK_BASE + 0x000U)
#define CLOCK_EVENTS_HFCLKSTARTED (NRF_CLOCK_BASE + 0x100U)
#define CLOCK_HFCLKSTAT (NRF_CLOCK_BASE + 0x40CU)
#define CLOCK_HFCLKSTAT_SRC_Xtal (1U << 0)
#define CLOCK_HFCLKSTAT_STATE_Running (1U << 16)
#define APPROTECT_DISABLE (NRF_CLOCK_BASE + 0x558U)
#define APPROTECT_DISABLE_SwDisable 0x5AU
#define NVMC_ICACHECNF (NRF_NVMC_BASE + 0x540U)
#define NVMC_ICACHECNF_CACHEEN_Enabled (1U << 0)

enum { GPIO_OUTSET = 0x508, GPIO_OUTCLR = 0x50C, GPIO_PIN_CNF = 0x700, BYTES_PER_PIN_CNF = 4 };
#define GPIO_PIN_CNF_DIR_Output (1U << 0)
#define GPIO_PIN_CNF_INPUT_Disconnect (1U << 1)
#define GPIO_PIN_CNF_PULL_Pullup (3U << 2)

/* The core runs at 64 MHz from either source; only the crystal makes them true (PS, CLOCK, HFCLK). */
_Static_assert(TB_CLOCK_HZ == 64000000, "the clock is the one that the target promises");

/* P0.06 and P0.08 lead to the debug probe; P1.08 is Arduino D7. */
enum { TX = 6, RX = 8, MARKER = 8 };

/* How often a ready bit is asked for. A poll takes some six cycles: a million are 90 ms, the crystal needs less than
 * a millisecond (PS, HFXO, t_START_HFXO). */
#ifndef TB_CLOCK_POLLS
#define TB_CLOCK_POLLS 1000000U
#endif

/* What an option of the target leaves off (tinybench/target_options.py). */
#ifndef TB_CODE_CACHE
#define TB_CODE_CACHE 1
#endif

static const tb_nrf_uart uart = {.address = NRF_UART0_BASE, .tx = TX, .rx = RX};

static void configure_pin(uint32_t port, uint32_t pin, uint32_t configuration) {
    tb_register_put(port + GPIO_PIN_CNF + pin * BYTES_PER_PIN_CNF, configuration);
}

/* The line idles high, so the transmitter's pin is high before it is an output (PS, UART, pin configuration). */
static void start_serial_port(void) {
    tb_register_put(NRF_P0_BASE + GPIO_OUTSET, 1U << TX);
    configure_pin(NRF_P0_BASE, TX, GPIO_PIN_CNF_DIR_Output | GPIO_PIN_CNF_INPUT_Disconnect);
    configure_pin(NRF_P0_BASE, RX, GPIO_PIN_CNF_PULL_Pullup);
    tb_nrf_uart_start(&uart, TB_BAUD);
}

/* Says what is missing and never returns: no number may come from a clock that is not the one promised. */
static void stop(const char *missing) {
    start_serial_port();
    tb_say(missing);
    for (;;) {
    }
}

static void start_crystal(void) {
    const uint32_t running = CLOCK_HFCLKSTAT_SRC_Xtal | CLOCK_HFCLKSTAT_STATE_Running;
    tb_register_put(CLOCK_EVENTS_HFCLKSTARTED, 0);
    tb_register_put(CLOCK_TASKS_HFCLKSTART, 1);
    if (!tb_register_await(CLOCK_EVENTS_HFCLKSTARTED, 1U, 1U, TB_CLOCK_POLLS) ||
        !tb_register_await(CLOCK_HFCLKSTAT, running, running, TB_CLOCK_POLLS)) {
        stop("e-[HFXO does not start]");
    }
}

/* Chips of revision 3 close their debug port at each reset unless firmware agrees that it stays open, and then
 * only a mass erase opens it; where UICR.APPROTECT closes it, this changes nothing (PS, debug and trace, access
 * port protection; nrf52_handle_approtect in nrfx does the same). Older chips have no such register. */
static void leave_debug_port_open(void) {
    tb_register_put(APPROTECT_DISABLE, APPROTECT_DISABLE_SwDisable);
}

void tb_port_init(void) {
    leave_debug_port_open();
    start_crystal();
    tb_register_put(NVMC_ICACHECNF, TB_CODE_CACHE ? NVMC_ICACHECNF_CACHEEN_Enabled : 0U);
    tb_port_marker(false);
    configure_pin(NRF_P1_BASE, MARKER, GPIO_PIN_CNF_DIR_Output | GPIO_PIN_CNF_INPUT_Disconnect);
    start_serial_port();
}

int tb_port_read(void) {
    return tb_nrf_uart_read(&uart);
}

void tb_port_write(const char *data, uint32_t length) {
    tb_nrf_uart_write(&uart, data, length);
}

bool tb_port_baud_possible(uint32_t baud) {
    return baud <= TB_FASTEST_BAUD && tb_nrf_uart_baud_possible(baud);
}

void tb_port_set_baud(uint32_t baud) {
    tb_nrf_uart_start(&uart, baud);
}

void tb_port_marker(bool high) {
    tb_register_put(NRF_P1_BASE + (high ? GPIO_OUTSET : GPIO_OUTCLR), 1U << MARKER);
}
