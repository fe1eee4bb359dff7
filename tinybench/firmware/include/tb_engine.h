/* What an engine owes. One of these is linked into every image. */
#ifndef TB_ENGINE_H
#define TB_ENGINE_H

#include <stdint.h>

#include "tb_status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A quantised tensor as it lies in memory: real = scale * (value - zero_point). */
typedef struct {
    void *data;
    uint32_t bytes;
    float scale;
    int32_t zero_point;
    enum { TB_INT8, TB_INT16, TB_FLOAT32 } type;
} tb_tensor;

/* Name and version, as `tb id` reports them; no `]` in either. */
const char *tb_engine_name(void);
const char *tb_engine_version(void);

/* Called once after reset, before anything below. */
tb_status tb_engine_init(void);

/* Where an input is written and an output is read; valid from init on. The core writes the input anew before
 * every inference, so invoke may use its memory for something else; the output stays until the next input. */
tb_tensor tb_engine_input(void);
tb_tensor tb_engine_output(void);

/* One inference. Each operator runs inside its own function `tb_op_<index>`, never inlined, called through
 * TB_OPERATOR below. */
tb_status tb_engine_invoke(void);

/* Bytes of activation memory that inference really uses, and that were set aside. */
uint32_t tb_engine_arena_used(void);
uint32_t tb_engine_arena_reserved(void);

/* Number of operators, and the name of one; 0 if the engine cannot tell them apart. */
uint32_t tb_engine_operator_count(void);
const char *tb_engine_operator_name(uint32_t index);

/* Wrapped around each operator's call, indices counting up from 0. Costs nothing in the clean image. */
#if TB_INSTRUMENTED
void tb_operator_begin(uint32_t index);
void tb_operator_end(uint32_t index);
#define TB_OPERATOR(index, call)    \
    do {                            \
        tb_operator_begin(index);   \
        call;                       \
        tb_operator_end(index);     \
    } while (0)
#else
#define TB_OPERATOR(index, call) \
    do {                         \
        call;                    \
    } while (0)
#endif

#ifdef __cplusplus
}
#endif
#endif
