#include "caches.h"

#include "core_registers.h"
#include "registers.h"

enum { LEVEL_1_DATA = 0 };

/* CCSIDR: LineSize in bits 2:0, Associativity - 1 in 12:3, NumSets - 1 in 27:13 (DDI 0403E, B4.8.2). */
static uint32_t last_way(uint32_t geometry) {
    return (geometry >> 3) & 0x3FFU;
}

static uint32_t last_set(uint32_t geometry) {
    return (geometry >> 13) & 0x7FFFU;
}

static void invalidate_data(void) {
    tb_register_put(TB_SCB_CSSELR, LEVEL_1_DATA);
    TB_BARRIER();
    const uint32_t geometry = tb_register_get(TB_SCB_CCSIDR);
    for (uint32_t set = 0; set <= last_set(geometry); set++) {
        for (uint32_t way = 0; way <= last_way(geometry); way++) {
            /* On Cortex-M7: way in bits 31:30, set in 13:5 (CMSIS: SCB_DCISW_WAY_Pos, _SET_Pos). */
            tb_register_put(TB_SCB_DCISW, (way << 30) | (set << 5));
        }
    }
}

/* What options of the target leave off (tinybench/target_options.py). */
#ifndef TB_CODE_CACHE
#define TB_CODE_CACHE 1
#endif
#ifndef TB_DATA_CACHE
#define TB_DATA_CACHE 1
#endif

/* A cache that is on already holds data that exists nowhere else: invalidating would lose it. */
void tb_caches_enable(void) {
    const uint32_t on = tb_register_get(TB_SCB_CCR);
    TB_BARRIER();
    if (TB_CODE_CACHE && (on & TB_SCB_CCR_IC) == 0) {
        tb_register_put(TB_SCB_ICIALLU, 0);
        TB_BARRIER();
        tb_register_change(TB_SCB_CCR, 0, TB_SCB_CCR_IC);
    }
    if (TB_DATA_CACHE && (on & TB_SCB_CCR_DC) == 0) {
        invalidate_data();
        TB_BARRIER();
        tb_register_change(TB_SCB_CCR, 0, TB_SCB_CCR_DC);
    }
    TB_BARRIER();
}
