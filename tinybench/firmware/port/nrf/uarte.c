#include "uarte.h"

#include "registers.h"

/* Offsets: NRF_UARTE_Type of nrf5340_application.h; values: nrf5340_application_bitfields.h. */
enum {
    TASKS_STARTRX = 0x000,
    TASKS_STOPRX = 0x004,
    TASKS_STARTTX = 0x008,
    TASKS_STOPTX = 0x00C,
    EVENTS_ENDRX = 0x110,
    EVENTS_ENDTX = 0x120,
    EVENTS_ERROR = 0x124,
    EVENTS_RXTO = 0x144,
    EVENTS_TXSTOPPED = 0x158,
    SHORTS = 0x200,
    ERRORSRC = 0x480,
    ENABLE = 0x500,
    PSEL_RTS = 0x508,
    PSEL_TXD = 0x50C,
    PSEL_CTS = 0x510,
    PSEL_RXD = 0x514,
    BAUDRATE = 0x524,
    RXD_PTR = 0x534,
    RXD_MAXCNT = 0x538,
    TXD_PTR = 0x544,
    TXD_MAXCNT = 0x548,
    CONFIG = 0x56C
};

#define ENABLE_ENABLED 8U
#define ERRORSRC_ALL 0xFU
#define PSEL_DISCONNECTED 0xFFFFFFFFU

enum {
    CHUNK_BYTES = 64,
    POLLS_PER_CHARACTER = 1000000, /* some 50 ms at 128 MHz: a character takes 1 ms at 9600 */
    POLLS_TO_STOP = 1000000
};

typedef struct {
    uint32_t baud;
    uint32_t word;
} rate;

/* UARTE_BAUDRATE_BAUDRATE_*. 921,600 is left out: made as 941,176 it is 2.1 % off, more than half of what a receiver
 * tolerates. 460,800 is made as 457,143, 0.8 % off. */
static const rate rates[] = {
    {9600, 0x00275000U},   {19200, 0x004EA000U},  {38400, 0x009D0000U},  {57600, 0x00EB0000U},
    {115200, 0x01D60000U}, {230400, 0x03B00000U}, {460800, 0x07400000U}, {1000000, 0x10000000U},
};

/* EasyDMA reaches RAM only. Volatile: the compiler does not see that the peripheral reads and writes here. */
static volatile uint8_t received;
static volatile uint8_t sent[CHUNK_BYTES];

static uint32_t word_for(uint32_t baud) {
    for (uint32_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        if (rates[i].baud == baud) {
            return rates[i].word;
        }
    }
    return 0;
}

bool tb_nrf_uarte_baud_possible(uint32_t baud) {
    return word_for(baud) != 0;
}

/* Only what is enabled can stop and say so; disabled in the middle of a transfer it would keep the DMA busy (PS, UARTE,
 * low power). */
static void stop(const tb_nrf_uarte *uarte) {
    if (tb_register_get(uarte->address + ENABLE) != ENABLE_ENABLED) {
        return;
    }
    tb_register_put(uarte->address + EVENTS_RXTO, 0);
    tb_register_put(uarte->address + TASKS_STOPRX, 1);
    (void)tb_register_await(uarte->address + EVENTS_RXTO, 1U, 1U, POLLS_TO_STOP);
    tb_register_put(uarte->address + EVENTS_TXSTOPPED, 0);
    tb_register_put(uarte->address + TASKS_STOPTX, 1);
    (void)tb_register_await(uarte->address + EVENTS_TXSTOPPED, 1U, 1U, POLLS_TO_STOP);
    tb_register_put(uarte->address + ENABLE, 0);
}

/* Transfers of one byte, each started by hand. There is no shortcut from ENDRX to STARTRX on purpose: a buffer that
 * restarts by itself is overwritten without a word if nobody looks, while a receiver without a buffer keeps the next
 * bytes in its FIFO and reports when that is full. Longer buffers would need a count of what has arrived before they
 * are full, which the UARTE does not give. */
static void receive_next(const tb_nrf_uarte *uarte) {
    tb_register_put(uarte->address + EVENTS_ENDRX, 0);
    tb_register_put(uarte->address + TASKS_STARTRX, 1);
}

/* Pins may be chosen only while the UARTE is disabled (PS, UARTE, pin configuration). */
void tb_nrf_uarte_start(const tb_nrf_uarte *uarte, uint32_t baud) {
    stop(uarte);
    tb_register_put(uarte->address + PSEL_RTS, PSEL_DISCONNECTED);
    tb_register_put(uarte->address + PSEL_CTS, PSEL_DISCONNECTED);
    tb_register_put(uarte->address + PSEL_TXD, uarte->tx);
    tb_register_put(uarte->address + PSEL_RXD, uarte->rx);
    tb_register_put(uarte->address + CONFIG, 0);
    tb_register_put(uarte->address + SHORTS, 0);
    tb_register_put(uarte->address + BAUDRATE, word_for(baud));
    tb_register_put(uarte->address + RXD_PTR, (uint32_t)(uintptr_t)&received);
    tb_register_put(uarte->address + RXD_MAXCNT, 1);
    tb_register_put(uarte->address + ENABLE, ENABLE_ENABLED);
    receive_next(uarte);
}

/* Between two reads the FIFO holds four bytes (PS, UARTE, reception): 40 us at 1 MBd, some 5000 cycles. While an
 * inference runs nothing is sent to us, for the host waits for `m-ready`. An overrun costs bytes that only a checksum
 * can miss. */
int tb_nrf_uarte_read(const tb_nrf_uarte *uarte) {
    if (tb_register_get(uarte->address + EVENTS_ERROR) != 0) {
        tb_register_put(uarte->address + EVENTS_ERROR, 0);
        tb_register_put(uarte->address + ERRORSRC, ERRORSRC_ALL);
    }
    if (tb_register_get(uarte->address + EVENTS_ENDRX) == 0) {
        return -1;
    }
    const uint8_t byte = received;
    receive_next(uarte);
    return byte;
}

/* ENDTX comes when the last byte was taken from RAM and sent. A transmitter that does not move is given up: the fault
 * report must not hang on a line that is off. */
static bool send(const tb_nrf_uarte *uarte, uint32_t length) {
    tb_register_put(uarte->address + TXD_PTR, (uint32_t)(uintptr_t)sent);
    tb_register_put(uarte->address + TXD_MAXCNT, length);
    tb_register_put(uarte->address + EVENTS_ENDTX, 0);
    tb_register_put(uarte->address + TASKS_STARTTX, 1);
    return tb_register_await(uarte->address + EVENTS_ENDTX, 1U, 1U, length * POLLS_PER_CHARACTER);
}

void tb_nrf_uarte_write(const tb_nrf_uarte *uarte, const char *data, uint32_t length) {
    while (length > 0) {
        const uint32_t size = length < CHUNK_BYTES ? length : CHUNK_BYTES;
        for (uint32_t i = 0; i < size; i++) {
            sent[i] = (uint8_t)data[i];
        }
        if (!send(uarte, size)) {
            return;
        }
        data += size;
        length -= size;
    }
}
