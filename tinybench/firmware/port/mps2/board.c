/* Arm's FPGA board MPS2 with the images AN385, AN386 and AN500, which share their peripherals: CMSDK UART 0 and timer 0
 * at the system's 25 MHz, and the first user LED as marker.
 *
 * Addresses: Arm application notes DAI 0385, 0386 and 0500, memory map. Timer: Cortex-M System Design Kit TRM
 * (DDI 0479), chapter 4, APB timer; by the names of CMSIS's CMSDK_CM4.h (CMSDK_TIMER_TypeDef). */
#include "cmsdk/uart.h"
#include "registers.h"
#include "tb_port.h"
#include "tb_target.h"

#define CMSDK_TIMER0_BASE 0x40000000U
#define CMSDK_UART0_BASE 0x40004000U
#define MPS2_FPGAIO_BASE 0x40028000U

#define TIMER_CTRL (CMSDK_TIMER0_BASE + 0x00U)
#define TIMER_VALUE (CMSDK_TIMER0_BASE + 0x04U)
#define TIMER_RELOAD (CMSDK_TIMER0_BASE + 0x08U)
#define TIMER_CTRL_EN (1U << 0)

#define FPGAIO_LED (MPS2_FPGAIO_BASE + 0x00U)
#define FPGAIO_LED_0 (1U << 0)

/* The peripherals' clock is the core's (DAI 0386, clocks). */
static const tb_cmsdk_uart uart = {.address = CMSDK_UART0_BASE, .clock_hz = TB_CLOCK_HZ};

void tb_port_init(void) {
    tb_register_put(TIMER_CTRL, 0);
    tb_register_put(TIMER_RELOAD, UINT32_MAX);
    tb_register_put(TIMER_VALUE, UINT32_MAX);
    tb_register_put(TIMER_CTRL, TIMER_CTRL_EN);
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

/* The timer counts down, from its largest value to 0 and again. */
uint32_t tb_port_ticks(void) {
    return UINT32_MAX - tb_register_get(TIMER_VALUE);
}

uint32_t tb_port_ticks_per_second(void) {
    return TB_CLOCK_HZ;
}

void tb_port_marker(bool high) {
    tb_register_change(FPGAIO_LED, FPGAIO_LED_0, high ? FPGAIO_LED_0 : 0);
}
