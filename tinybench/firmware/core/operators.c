#include "operators.h"

#include <stdint.h>

#include "tb_engine.h"
#include "tb_port.h"
#include "tb_workload.h"
#include "text.h"

#if TB_INSTRUMENTED

static uint32_t ticks[TB_OPERATOR_COUNT > 0 ? TB_OPERATOR_COUNT : 1];

/* An object, as compilers object to `index < 0`: there are engines whose operators cannot be told apart. */
static const uint32_t known = TB_OPERATOR_COUNT;

/* Holds the start until the end replaces it: operators do not nest. */
void tb_operator_begin(uint32_t index) {
    if (index < known) {
        ticks[index] = tb_port_ticks();
    }
}

void tb_operator_end(uint32_t index) {
    if (index < known) {
        ticks[index] = tb_port_ticks() - ticks[index];
    }
}

static void say(uint32_t index) {
    tb_put("m-tb-layer-[");
    tb_put_unsigned(index);
    tb_put_character(' ');
    tb_put(tb_engine_operator_name(index));
    tb_put_character(' ');
    tb_put_unsigned(ticks[index]);
    tb_say("]");
}

void tb_operators_say(void) {
    const uint32_t count = tb_engine_operator_count();
    for (uint32_t i = 0; i < count && i < known; i++) {
        say(i);
    }
}

#else

void tb_operators_say(void) {
    tb_say_error(TB_ERR_CLEAN_IMAGE);
}

#endif
