/* Movement of elements of any type: the includer defines NUMBER, the type, and NAMED(kernel), a kernel's name. */

static void NAMED(move_line)(const tb_block *block, const NUMBER *from, NUMBER *to) {
    const int32_t count = block->extent[3], from_step = block->from[3], to_step = block->to[3];
    for (int32_t i = 0; i < count; ++i, from += from_step, to += to_step) {
        *to = *from;
    }
}

void NAMED(tb_move)(const tb_block *block, const NUMBER *input, NUMBER *output) {
    for (int32_t i = 0; i < block->extent[0]; ++i) {
        for (int32_t j = 0; j < block->extent[1]; ++j) {
            const NUMBER *from = input + i * block->from[0] + j * block->from[1];
            NUMBER *to = output + i * block->to[0] + j * block->to[1];
            for (int32_t k = 0; k < block->extent[2]; ++k) {
                NAMED(move_line)(block, from, to);
                from += block->from[2];
                to += block->to[2];
            }
        }
    }
}

void NAMED(tb_fill)(NUMBER value, int32_t size, NUMBER *output) {
    for (int32_t i = 0; i < size; ++i) {
        output[i] = value;
    }
}
