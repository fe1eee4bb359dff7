/* nRF5340 DK, application core: 128 MHz from the 32 MHz crystal, cache for code and data, UARTE0 to the debug probe's
 * virtual COM port, marker on Arduino D7.
 *
 * Addresses and bits: Nordic's headers nrf5340_application.h and nrf5340_application_bitfields.h (nrfx), by the names
 * given; the chip starts in secure state and stays there, so that all are the secure ones. Order: nRF5340 Product
 * Specification, chapters CLOCK, CACHE, UARTE, GPIO, SPU. Pins: Zephyr's board nrf5340dk (PCA10095). */
#include "nrf/uarte.h"
#include "registers.h"
#include "tb_port.h"
#include "tb_target.h"
#include "text.h"

#define NRF_FICR_S_BASE 0x00FF0000U
#define NRF_CACHE_S_BASE 0x50001000U
#define NRF_SPU_S_BASE 0x50003000U
#define NRF_CLOCK_S_BASE 0x50005000U
#define NRF_CTRLAP_S_BASE 0x50006000U
#define NRF_UARTE0_S_BASE 0x50008000U
#define NRF_P0_S_BASE 0x50842500U
#define NRF_P1_S_BASE 0x50842800U

#define FICR_TRIMCNF (NRF_FICR_S_BASE + 0x300U)
#define CACHE_ENABLE (NRF_CACHE_S_BASE + 0x500U)
#define CACHE_ENABLE_ENABLE_Enabled (1U << 0)
#define CACHE_INVALIDATE (NRF_CACHE_S_BASE + 0x504U)
#define CACHE_INVALIDATE_INVALIDATE_Invalidate (1U << 0)
#define SPU_PERIPHID_PERM (NRF_SPU_S_BASE + 0x800U)
#define SPU_PERIPHID_PERM_SECATTR_Secure (1U << 4)
#define SPU_PERIPHID_PERM_DMASEC_Secure (1U << 5)
#define CLOCK_TASKS_HFCLKSTART (NRF_CLOCK_S_BASE + 0x000U)
#define CLOCK_EVENTS_HFCLKSTARTED (NRF_CLOCK_S_BASE + 0x100U)
#define CLOCK_HFCLKSTAT (NRF_CLOCK_S_BASE + 0x40CU)
#define CLOCK_HFCLKSTAT_SRC_HFXO (1U << 0)
#define CLOCK_HFCLKSTAT_STATE_Running (1U << 16)
#define CLOCK_HFCLKSRC (NRF_CLOCK_S_BASE + 0x514U)
#define CLOCK_HFCLKSRC_SRC_HFXO 1U
#define CLOCK_HFCLKCTRL (NRF_CLOCK_S_BASE + 0x558U)
#define CLOCK_HFCLKCTRL_HCLK_Div1 0U
#define CTRLAP_APPROTECT_DISABLE (NRF_CTRLAP_S_BASE + 0x544U)
#define CTRLAP_SECUREAPPROTECT_DISABLE (NRF_CTRLAP_S_BASE + 0x54CU)
#define UICR_APPROTECT_PALL_Unprotected 0x50FA50FAU

enum { GPIO_OUTSET = 0x008, GPIO_OUTCLR = 0x00C, GPIO_PIN_CNF = 0x200, BYTES_PER_PIN_CNF = 4 };
#define GPIO_PIN_CNF_DIR_Output (1U << 0)
#define GPIO_PIN_CNF_INPUT_Disconnect (1U << 1)
#define GPIO_PIN_CNF_PULL_Pullup (3U << 2)

/* HFXO makes 128 MHz, undivided (PS, CLOCK, HFCLK128M). */
_Static_assert(TB_CLOCK_HZ == 128000000, "the clock is the one that the target promises");

/* P0.20 and P0.22 lead to the debug probe; P1.09 is Arduino D7. */
enum { TX = 20, RX = 22, MARKER = 9 };

/* A peripheral's number is in its address (PS, peripheral interface): UARTE0 is 8. */
enum { UARTE0_ID = NRF_UARTE0_S_BASE >> 12 & 0xFF, BYTES_PER_PERM = 4 };

/* Pairs of an address and what belongs there, up to the first that is empty. */
enum { TRIMMINGS = 32, BYTES_PER_TRIMMING = 8 };
#define NO_TRIMMING 0xFFFFFFFFU

/* How often a ready bit is asked for. A poll takes some six cycles: a million are 50 ms, the crystal needs less than
 * a millisecond. */
#ifndef TB_CLOCK_POLLS
#define TB_CLOCK_POLLS 1000000U
#endif

/* What an option of the target leaves off (tinybench/target_options.py). */
#ifndef TB_CODE_CACHE
#define TB_CODE_CACHE 1
#endif

static const tb_nrf_uarte uarte = {.address = NRF_UARTE0_S_BASE, .tx = TX, .rx = RX};

static void configure_pin(uint32_t port, uint32_t pin, uint32_t configuration) {
    tb_register_put(port + GPIO_PIN_CNF + pin * BYTES_PER_PIN_CNF, configuration);
}

/* RAM is secure after reset, so the transfers to and from it must be. */
static void make_transfers_secure(void) {
    const uint32_t secure = SPU_PERIPHID_PERM_SECATTR_Secure | SPU_PERIPHID_PERM_DMASEC_Secure;
    tb_register_change(SPU_PERIPHID_PERM + UARTE0_ID * BYTES_PER_PERM, secure, secure);
}

/* The line idles high, so the transmitter's pin is high before it is an output. */
static void start_serial_port(void) {
    make_transfers_secure();
    tb_register_put(NRF_P0_S_BASE + GPIO_OUTSET, 1U << TX);
    configure_pin(NRF_P0_S_BASE, TX, GPIO_PIN_CNF_DIR_Output | GPIO_PIN_CNF_INPUT_Disconnect);
    configure_pin(NRF_P0_S_BASE, RX, GPIO_PIN_CNF_PULL_Pullup);
    tb_nrf_uarte_start(&uarte, TB_BAUD);
}

/* Says what is missing and never returns: no number may come from a clock that is not the one promised. */
static void stop(const char *missing) {
    start_serial_port();
    tb_say(missing);
    for (;;) {
    }
}

/* What production found out about this very chip goes to where it takes effect (SystemInit of nrfx does the same). */
static void trim(void) {
    for (uint32_t i = 0; i < TRIMMINGS; i++) {
        const uint32_t entry = FICR_TRIMCNF + i * BYTES_PER_TRIMMING;
        const uint32_t address = tb_register_get(entry);
        if (address == NO_TRIMMING) {
            return;
        }
        tb_register_put(address, tb_register_get(entry + 4U));
    }
}

/* The chip closes its debug port at each reset unless firmware agrees that it stays open; where UICR closes it, this
 * changes nothing (nrf53_handle_approtect of nrfx). */
static void leave_debug_port_open(void) {
    tb_register_put(CTRLAP_APPROTECT_DISABLE, UICR_APPROTECT_PALL_Unprotected);
    tb_register_put(CTRLAP_SECUREAPPROTECT_DISABLE, UICR_APPROTECT_PALL_Unprotected);
}

static void start_crystal(void) {
    const uint32_t running = CLOCK_HFCLKSTAT_SRC_HFXO | CLOCK_HFCLKSTAT_STATE_Running;
    tb_register_put(CLOCK_HFCLKSRC, CLOCK_HFCLKSRC_SRC_HFXO);
    tb_register_put(CLOCK_EVENTS_HFCLKSTARTED, 0);
    tb_register_put(CLOCK_TASKS_HFCLKSTART, 1);
    if (!tb_register_await(CLOCK_EVENTS_HFCLKSTARTED, 1U, 1U, TB_CLOCK_POLLS) ||
        !tb_register_await(CLOCK_HFCLKSTAT, running, running, TB_CLOCK_POLLS)) {
        stop("e-[HFXO does not start]");
    }
}

static void set_cache(void) {
    tb_register_put(CACHE_ENABLE, 0);
    tb_register_put(CACHE_INVALIDATE, CACHE_INVALIDATE_INVALIDATE_Invalidate);
    tb_register_put(CACHE_ENABLE, TB_CODE_CACHE ? CACHE_ENABLE_ENABLE_Enabled : 0U);
}

void tb_port_init(void) {
    trim();
    leave_debug_port_open();
    start_crystal();
    tb_register_put(CLOCK_HFCLKCTRL, CLOCK_HFCLKCTRL_HCLK_Div1);
    set_cache();
    tb_port_marker(false);
    configure_pin(NRF_P1_S_BASE, MARKER, GPIO_PIN_CNF_DIR_Output | GPIO_PIN_CNF_INPUT_Disconnect);
    start_serial_port();
}

int tb_port_read(void) {
    return tb_nrf_uarte_read(&uarte);
}

void tb_port_write(const char *data, uint32_t length) {
    tb_nrf_uarte_write(&uarte, data, length);
}

bool tb_port_baud_possible(uint32_t baud) {
    return baud <= TB_FASTEST_BAUD && tb_nrf_uarte_baud_possible(baud);
}

void tb_port_set_baud(uint32_t baud) {
    tb_nrf_uarte_start(&uarte, baud);
}

void tb_port_marker(bool high) {
    tb_register_put(NRF_P1_S_BASE + (high ? GPIO_OUTSET : GPIO_OUTCLR), 1U << MARKER);
}
