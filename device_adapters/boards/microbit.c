/* BBC micro:bit, first edition: nRF51822 at 16 MHz from its crystal, UART0 to the interface chip's virtual COM port, marker
 * on the edge connector's pin 0.
 *
 * Addresses and bits: Nordic's headers nrf51.h and nrf51_bitfields.h, by the names given. Order: nRF51 Series Reference
 * Manual 3.0, chapters CLOCK, UART, GPIO. Pins: schematic of the micro:bit V1.3B (TGT_TX, TGT_RX, PAD1). */
#include "nrf/uart.h"
#include "registers.h"
#include "tb_port.h"
#include "tb_target.h"
#include "text.h"

#define NRF_CLOCK_BASE 0x40000000U
#define NRF_UART0_BASE 0x40002000U
#define NRF_GPIO_BASE 0x50000000U

#define CLOCK_TASKS_HFCLKSTART (NRF_CLOCK_BASE + 0x000U)
#define CLOCK_EVENTS_HFCLKSTARTED (NRF_CLOCK_BASE + 0x100U)

enum { GPIO_OUTSET = 0x508, GPIO_OUTCLR = 0x50C, GPIO_PIN_CNF = 0x700, BYTES_PER_PIN_CNF = 4 };
#define GPIO_PIN_CNF_DIR_Output (1U << 0)
#define GPIO_PIN_CNF_INPUT_Disconnect (1U << 1)
#define GPIO_PIN_CNF_PULL_Pullup (3U << 2)

/* The core runs at 16 MHz from either source; only the crystal makes them true (RM, CLOCK). */
_Static_assert(TB_CLOCK_HZ == 16000000, "the clock is the one that the target promises");

enum { TX = 24, RX = 25, MARKER = 3 };

/* A poll takes some ten cycles: a million are 600 ms, the crystal needs less than a millisecond. */
enum { CLOCK_POLLS = 1000000 };

static const tb_nrf_uart uart = {.address = NRF_UART0_BASE, .tx = TX, .rx = RX};

static void configure_pin(uint32_t pin, uint32_t configuration) {
    tb_register_put(NRF_GPIO_BASE + GPIO_PIN_CNF + pin * BYTES_PER_PIN_CNF, configuration);
}

/* The line idles high, so the transmitter's pin is high before it is an output. */
static void start_serial_port(void) {
    tb_register_put(NRF_GPIO_BASE + GPIO_OUTSET, 1U << TX);
    configure_pin(TX, GPIO_PIN_CNF_DIR_Output | GPIO_PIN_CNF_INPUT_Disconnect);
    configure_pin(RX, GPIO_PIN_CNF_PULL_Pullup);
    tb_nrf_uart_start(&uart, TB_BAUD);
}

/* Says what is missing and never returns: no number may come from a clock that is not the one promised. */
static void stop(const char *missing) {
    start_serial_port();
    tb_say(missing);
    for (;;) {
    }
}

void tb_port_init(void) {
    tb_register_put(CLOCK_EVENTS_HFCLKSTARTED, 0);
    tb_register_put(CLOCK_TASKS_HFCLKSTART, 1);
    if (!tb_register_await(CLOCK_EVENTS_HFCLKSTARTED, 1U, 1U, CLOCK_POLLS)) {
        stop("e-[HFXO does not start]");
    }
    tb_port_marker(false);
    configure_pin(MARKER, GPIO_PIN_CNF_DIR_Output | GPIO_PIN_CNF_INPUT_Disconnect);
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
    tb_register_put(NRF_GPIO_BASE + (high ? GPIO_OUTSET : GPIO_OUTCLR), 1U << MARKER);
}
