/* Arm's FPGA board MPS3 with the image AN547 (Corstone-300: Cortex-M55), in the secure state that it starts in: CMSDK UART
 * 0 at the system's 32 MHz, cycle counter, first user LED as marker.
 *
 * Addresses: Arm application note DAI 0547, memory map (secure aliases of the APB expansion). */
#include "cmsdk/uart.h"
#include "registers.h"
#include "tb_port.h"
#include "tb_target.h"

#define UART0_BASE_S 0x59303000U
#define FPGAIO_BASE_S 0x59302000U

#define FPGAIO_LED (FPGAIO_BASE_S + 0x00U)
#define FPGAIO_LED_0 (1U << 0)

static const tb_cmsdk_uart uart = {.address = UART0_BASE_S, .clock_hz = TB_CLOCK_HZ};

void tb_port_init(void) {
    tb_port_marker(false);
    tb_cmsdk_uart_start(&uart, TB_BAUD);
}

int tb_port_read(void) {
    return tb_cmsdk_uart_read(&uart);
}

void tb_port_write(const char *data, uint32_t length) {
    tb_cmsdk_uart_write(&uart, data, length);
}

bool tb_port_baud_possible(uint32_t baud) {
    return baud <= TB_FASTEST_BAUD && tb_cmsdk_uart_baud_possible(&uart, baud);
}

void tb_port_set_baud(uint32_t baud) {
    tb_cmsdk_uart_start(&uart, baud);
}

void tb_port_marker(bool high) {
    tb_register_change(FPGAIO_LED, FPGAIO_LED_0, high ? FPGAIO_LED_0 : 0);
}
