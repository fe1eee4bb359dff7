/* ST's GPIO with MODER and AFR registers: STM32F4/F7/L4/H7 (GPIO_TypeDef of the CMSIS device headers, the same in
 * stm32f767xx.h, stm32l4r5xx.h, stm32l475xx.h and stm32h743xx.h). The port's clock must be on already. */
#ifndef TB_GPIO_H
#define TB_GPIO_H

#include <stdbool.h>
#include <stdint.h>

/* One pin: the address of its port, and its number there. */
typedef struct {
    uint32_t port;
    uint32_t number;
} tb_pin;

/* Gives the pin to a peripheral, by the number of the alternate function; pulled up while nobody drives it. */
void tb_gpio_connect(tb_pin pin, uint32_t function);

/* Drives the pin, low at first. */
void tb_gpio_drive(tb_pin pin);
void tb_gpio_set(tb_pin pin, bool high);

#endif
