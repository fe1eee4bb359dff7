/* Nordic's UART with EasyDMA, polled: nRF53, and whatever has the same registers (NRF_UARTE_Type and UARTE_* of
 * nrf5340_application.h, nrf5340_application_bitfields.h). */
#ifndef TB_NRF_UARTE_H
#define TB_NRF_UARTE_H

#include <stdbool.h>
#include <stdint.h>

/* One instance and its pins, numbered as PSEL wants them: 32 * port + pin. They must be configured already. One
 * instance at a time: the memory that its DMA uses is one. */
typedef struct {
    uint32_t address;
    uint32_t tx;
    uint32_t rx;
} tb_nrf_uarte;

/* Whether BAUDRATE knows this rate and makes it near enough. */
bool tb_nrf_uarte_baud_possible(uint32_t baud);

/* 8 bits, no parity, 1 stop bit, no flow control, at this rate; for the first time or again. */
void tb_nrf_uarte_start(const tb_nrf_uarte *uarte, uint32_t baud);

int tb_nrf_uarte_read(const tb_nrf_uarte *uarte);
void tb_nrf_uarte_write(const tb_nrf_uarte *uarte, const char *data, uint32_t length);

#endif
