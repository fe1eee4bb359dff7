/* Elements that change place and keep their value. */
#include "tb_kernels.h"

static void move_line(const tb_block *block, const int8_t *from, int8_t *to) {
    const int32_t count = block->extent[3], from_step = block->from[3], to_step = block->to[3];
    for (int32_t i = 0; i < count; ++i, from += from_step, to += to_step) {
        *to = *from;
    }
}

void tb_move(const tb_block *block, const int8_t *input, int8_t *output) {
    for (int32_t i = 0; i < block->extent[0]; ++i) {
        for (int32_t j = 0; j < block->extent[1]; ++j) {
            const int8_t *from = input + i * block->from[0] + j * block->from[1];
            int8_t *to = output + i * block->to[0] + j * block->to[1];
            for (int32_t k = 0; k < block->extent[2]; ++k) {
                move_line(block, from, to);
                from += block->from[2];
                to += block->to[2];
            }
        }
    }
}

void tb_fill(int8_t value, int32_t size, int8_t *output) {
    for (int32_t i = 0; i < size; ++i) {
        output[i] = value;
    }
}
