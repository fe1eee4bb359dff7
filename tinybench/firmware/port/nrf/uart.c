#include "uart.h"

#include "registers.h"

/* Offsets: NRF_UART_Type of nrf52840.h; values: nrf52840_bitfields.h. */
enum {
    TASKS_STARTRX = 0x000,
    TASKS_STOPRX = 0x004,
    TASKS_STARTTX = 0x008,
    TASKS_STOPTX = 0x00C,
    EVENTS_RXDRDY = 0x108,
    EVENTS_TXDRDY = 0x11C,
    EVENTS_ERROR = 0x124,
    ERRORSRC = 0x480,
    ENABLE = 0x500,
    PSEL_RTS = 0x508,
    PSEL_TXD = 0x50C,
    PSEL_CTS = 0x510,
    PSEL_RXD = 0x514,
    RXD = 0x518,
    TXD = 0x51C,
    BAUDRATE = 0x524,
    CONFIG = 0x56C
};

#define ENABLE_ENABLED 4U
#define ERRORSRC_ALL 0xFU
#define PSEL_DISCONNECTED 0xFFFFFFFFU

enum { POLLS_PER_CHARACTER = 1000000 /* some 90 ms at 64 MHz: a character takes 1 ms at 9600 */ };

typedef struct {
    uint32_t baud;
    uint32_t word;
} rate;

/* UART_BAUDRATE_BAUDRATE_*. 460,800 and 921,600 are left out: made as 470,588 and 941,176 they are 2.1 % off, more
 * than half of what a receiver tolerates. */
static const rate rates[] = {
    {9600, 0x00275000U},  {19200, 0x004EA000U},  {38400, 0x009D5000U},   {57600, 0x00EBF000U},
    {115200, 0x01D7E000U}, {230400, 0x03AFB000U}, {1000000, 0x10000000U},
};

static uint32_t word_for(uint32_t baud) {
    for (uint32_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        if (rates[i].baud == baud) {
            return rates[i].word;
        }
    }
    return 0;
}

bool tb_nrf_uart_baud_possible(uint32_t baud) {
    return word_for(baud) != 0;
}

/* Pins may be chosen only while the UART is disabled (nRF52840 PS, UART, pin configuration). */
void tb_nrf_uart_start(const tb_nrf_uart *uart, uint32_t baud) {
    tb_register_put(uart->address + TASKS_STOPTX, 1);
    tb_register_put(uart->address + TASKS_STOPRX, 1);
    tb_register_put(uart->address + ENABLE, 0);
    tb_register_put(uart->address + PSEL_RTS, PSEL_DISCONNECTED);
    tb_register_put(uart->address + PSEL_CTS, PSEL_DISCONNECTED);
    tb_register_put(uart->address + PSEL_TXD, uart->tx);
    tb_register_put(uart->address + PSEL_RXD, uart->rx);
    tb_register_put(uart->address + CONFIG, 0);
    tb_register_put(uart->address + BAUDRATE, word_for(baud));
    tb_register_put(uart->address + ENABLE, ENABLE_ENABLED);
    tb_register_put(uart->address + EVENTS_RXDRDY, 0);
    tb_register_put(uart->address + EVENTS_TXDRDY, 0);
    tb_register_put(uart->address + TASKS_STARTRX, 1);
    tb_register_put(uart->address + TASKS_STARTTX, 1);
}

/* The event is cleared before RXD is read: reading brings up the next byte of six, with an event of its own (nRF52840
 * PS, UART, reception). An overrun costs bytes that only a checksum can miss. */
int tb_nrf_uart_read(const tb_nrf_uart *uart) {
    if (tb_register_get(uart->address + EVENTS_ERROR) != 0) {
        tb_register_put(uart->address + EVENTS_ERROR, 0);
        tb_register_put(uart->address + ERRORSRC, ERRORSRC_ALL);
    }
    if (tb_register_get(uart->address + EVENTS_RXDRDY) == 0) {
        return -1;
    }
    tb_register_put(uart->address + EVENTS_RXDRDY, 0);
    return (int)(tb_register_get(uart->address + RXD) & 0xFFU);
}

/* A transmitter that does not move is given up: the fault report must not hang on a line that is off. */
void tb_nrf_uart_write(const tb_nrf_uart *uart, const char *data, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        tb_register_put(uart->address + TXD, (uint8_t)data[i]);
        if (!tb_register_await(uart->address + EVENTS_TXDRDY, 1U, 1U, POLLS_PER_CHARACTER)) {
            return;
        }
        tb_register_put(uart->address + EVENTS_TXDRDY, 0);
    }
}
