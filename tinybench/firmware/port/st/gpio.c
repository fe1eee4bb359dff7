#include "gpio.h"

#include "registers.h"

enum { MODER = 0x00, OSPEEDR = 0x08, PUPDR = 0x0C, BSRR = 0x18, AFRL = 0x20 };
enum { MODE_OUTPUT = 1, MODE_ALTERNATE = 2, SPEED_MEDIUM = 1, PULL_UP = 1, BITS_PER_FIELD = 2 };
enum { BITS_PER_FUNCTION = 4, PINS_PER_AFR = 8, BYTES_PER_AFR = 4, BSRR_RESETS = 16 };

/* Two bits of each pin, in MODER, OSPEEDR or PUPDR. */
static void set_field(tb_pin pin, uint32_t offset, uint32_t value) {
    const uint32_t shift = pin.number * BITS_PER_FIELD;
    tb_register_change(pin.port + offset, 3U << shift, value << shift);
}

void tb_gpio_connect(tb_pin pin, uint32_t function) {
    const uint32_t shift = (pin.number % PINS_PER_AFR) * BITS_PER_FUNCTION;
    const uint32_t afr = pin.port + AFRL + (pin.number / PINS_PER_AFR) * BYTES_PER_AFR;
    tb_register_change(afr, 0xFU << shift, function << shift);
    set_field(pin, OSPEEDR, SPEED_MEDIUM);
    set_field(pin, PUPDR, PULL_UP);
    set_field(pin, MODER, MODE_ALTERNATE);
}

void tb_gpio_drive(tb_pin pin) {
    tb_gpio_set(pin, false);
    set_field(pin, MODER, MODE_OUTPUT);
}

/* BSRR: the lower half sets, the upper half clears (GPIO_BSRR_BS0, GPIO_BSRR_BR0). */
void tb_gpio_set(tb_pin pin, bool high) {
    tb_register_put(pin.port + BSRR, 1U << (high ? pin.number : pin.number + BSRR_RESETS));
}
