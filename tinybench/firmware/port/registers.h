/* Memory-mapped registers, by address. */
#ifndef TB_REGISTERS_H
#define TB_REGISTERS_H

#include <stdbool.h>
#include <stdint.h>

static inline uint32_t tb_register_get(uint32_t address) {
    return *(volatile const uint32_t *)address;
}

static inline void tb_register_put(uint32_t address, uint32_t value) {
    *(volatile uint32_t *)address = value;
}

/* Replaces the bits of `mask` by those of `value` and leaves the others as they are. */
static inline void tb_register_change(uint32_t address, uint32_t mask, uint32_t value) {
    tb_register_put(address, (tb_register_get(address) & ~mask) | value);
}

/* Whether the bits of `mask` read as `value` before `polls` readings are over. */
static inline bool tb_register_await(uint32_t address, uint32_t mask, uint32_t value, uint32_t polls) {
    while (polls > 0 && (tb_register_get(address) & mask) != value) {
        polls--;
    }
    return polls > 0;
}

#endif
