#include "measure.h"

#include "clock.h"
#include "load.h"
#include "results.h"
#include "tb_engine.h"
#include "tb_port.h"
#include "text.h"

enum { MOST_TIMED = 256, TIMES_PER_LINE = 16, CLOCK_LOOP_ITERATIONS = 100000 };

static tb_status engine_status;
static uint32_t times[MOST_TIMED];

tb_status tb_measure_begin(void) {
    engine_status = tb_engine_init();
    return engine_status;
}

static tb_status prepare(void) {
    return engine_status != TB_OK ? engine_status : tb_load_prepare();
}

/* The clock is read after each inference only to carry its 32 bits on to 64: some ten instructions. */
static tb_status infer(uint32_t count) {
    tb_status status = TB_OK;
    while (count > 0 && status == TB_OK) {
        tb_load_write_input();
        status = tb_engine_invoke();
        (void)tb_clock_ticks();
        count--;
    }
    return status;
}

void tb_measure_say_lap(uint64_t ticks) {
    tb_put("m-lap-us-");
    tb_put_unsigned(tb_clock_microseconds(ticks));
    tb_end_line();
}

static void say_count(const char *what, uint32_t count) {
    tb_put(what);
    tb_put_unsigned(count);
    tb_end_line();
}

static tb_status window(uint32_t count, uint64_t *start, uint64_t *end) {
    *start = tb_clock_ticks();
    tb_port_marker(true);
    const tb_status status = infer(count);
    tb_port_marker(false);
    *end = tb_clock_ticks();
    return status;
}

void tb_measure_window(uint32_t count, uint32_t warmup) {
    uint64_t start = 0;
    uint64_t end = 0;
    tb_status status = prepare();
    if (status != TB_OK) {
        tb_say_error(status);
        return;
    }
    say_count("m-warmup-start-", warmup);
    status = infer(warmup);
    tb_say("m-warmup-done");
    say_count("m-infer-start-", count);
    if (status == TB_OK) {
        status = window(count, &start, &end);
    }
    tb_results_take(status);
    if (status != TB_OK) {
        tb_say_error(status);
        return;
    }
    tb_measure_say_lap(start);
    tb_measure_say_lap(end);
    tb_say("m-infer-done");
    tb_results_say();
}

static tb_status time_each(uint32_t count) {
    tb_status status = TB_OK;
    for (uint32_t i = 0; i < count && status == TB_OK; i++) {
        tb_load_write_input();
        tb_port_marker(true);
        const uint32_t start = tb_port_ticks();
        status = tb_engine_invoke();
        times[i] = tb_port_ticks() - start;
        tb_port_marker(false);
        (void)tb_clock_ticks();
    }
    return status;
}

static void say_times(uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        tb_put(i % TIMES_PER_LINE == 0 ? "m-tb-lat-[" : " ");
        tb_put_unsigned(times[i]);
        if ((i + 1U) % TIMES_PER_LINE == 0 || i + 1U == count) {
            tb_say("]");
        }
    }
}

void tb_measure_each(uint32_t count, uint32_t warmup) {
    tb_status status = count > MOST_TIMED ? TB_ERR_COUNT : prepare();
    if (status != TB_OK) {
        tb_say_error(status);
        return;
    }
    status = infer(warmup);
    if (status == TB_OK) {
        status = time_each(count);
    }
    tb_results_take(status);
    if (status != TB_OK) {
        tb_say_error(status);
        return;
    }
    say_times(count);
    tb_results_say();
}

void tb_measure_clock(void) {
    const uint32_t ticks = tb_clock_across_loop(CLOCK_LOOP_ITERATIONS);
    tb_put("m-tb-clk-hz-[");
    tb_put_unsigned(tb_port_ticks_per_second());
    tb_say("]");
    if (ticks == 0) {
        tb_say_error(TB_ERR_CLOCK);
        return;
    }
    tb_put("m-tb-clk-loop-[");
    tb_put_unsigned(CLOCK_LOOP_ITERATIONS);
    tb_put_character(' ');
    tb_put_unsigned(ticks);
    tb_say("]");
}
