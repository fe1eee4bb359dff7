/* The lowest address that was written inside a range, word by word: what a painted stack is held against. */
#include <stdint.h>

#define XPSR_IT 0x0600FC00U

typedef struct {
    uint32_t lowest; /* of a word; the range's end before any was written */
    uint32_t writes;
    int32_t xpsr;
    uint32_t spare;
    int32_t (*reg_read)(void *uc, int32_t id, void *value);
    int32_t (*reg_write)(void *uc, int32_t id, const void *value);
} deepest;

/* Afterwards Unicorn would take the progress of an IT block for the next block's (caches.c says more). */
static void leave_it_block(const deepest *state, void *uc) {
    uint32_t xpsr = 0;
    state->reg_read(uc, state->xpsr, &xpsr);
    if ((xpsr & XPSR_IT) != 0) {
        xpsr &= ~XPSR_IT;
        state->reg_write(uc, state->xpsr, &xpsr);
    }
}

__attribute__((visibility("default"))) void on_write(void *uc, int32_t type, uint64_t address, int32_t size,
                                                     int64_t value, void *user) {
    deepest *state = user;
    (void)type;
    (void)size;
    (void)value;
    const uint32_t word = (uint32_t)address & ~3U;
    state->writes++;
    if (word < state->lowest) {
        state->lowest = word;
    }
    leave_it_block(state, uc);
}
