/* Our verbs, behind `tb`. */
#include "own.h"

#include <stddef.h>

#include "clock.h"
#include "load.h"
#include "measure.h"
#include "operators.h"
#include "results.h"
#include "stack.h"
#include "tb_engine.h"
#include "tb_port.h"
#include "tb_target.h"
#include "tb_workload.h"
#include "text.h"
#include "verbs.h"
#include "words.h"

enum { HEX_DIGITS_PER_BYTE = 2, BAUD_CONFIRMATION_MS = 1000, DEFAULT_COUNT = 1, DEFAULT_WARMUP = 0 };

static uint32_t announced_bytes;

static struct {
    uint32_t now;
    uint32_t wanted; /* 0: none */
    bool unconfirmed;
    uint32_t before;
    uint64_t since;
} baud = {.now = TB_BAUD};

/* The next word as a number, `otherwise` if there is none, -1 if it is negative. */
static int32_t next_number(char **words, int32_t otherwise) {
    const char *word = tb_next_word(words);
    const int32_t number = word == NULL ? otherwise : tb_integer(word);
    return number < 0 ? -1 : number;
}

static void caps_verb(char **words) {
    (void)words;
    tb_say("m-tb-caps-[1 caps id clk bin out lat mem layers baud]");
}

static void say_datum(const char *name, const char *text) {
    tb_put("m-tb-");
    tb_put(name);
    tb_put("-[");
    tb_put(text);
    tb_say("]");
}

static void say_build_id(void) {
    uint8_t id[TB_BUILD_ID_BYTES];
    tb_port_build_id(id);
    tb_put("m-tb-build-id-[");
    for (uint32_t i = 0; i < sizeof id; i++) {
        tb_put_hex(id[i], HEX_DIGITS_PER_BYTE);
    }
    tb_say("]");
}

static void id_verb(char **words) {
    (void)words;
    say_build_id();
    say_datum("target", TB_TARGET_NAME);
    say_datum("image", TB_INSTRUMENTED ? "instrumented" : "clean");
    tb_put("m-tb-engine-[");
    tb_put(tb_engine_name());
    tb_put_character(' ');
    tb_put(tb_engine_version());
    tb_say("]");
    tb_put("m-tb-input-[");
    tb_put_unsigned(TB_INPUT_BYTES);
    tb_put_character(' ');
    tb_put(TB_ENCODING_NAME);
    tb_say("]");
    tb_put("m-tb-output-[");
    tb_put_unsigned(tb_engine_output().bytes);
    tb_say("]");
}

static void clk_verb(char **words) {
    (void)words;
    tb_measure_clock();
}

static void bin_verb(char **words) {
    const int32_t bytes = next_number(words, 0);
    if (bytes <= 0 || tb_load_begin((uint32_t)bytes) != TB_OK) {
        (void)tb_load_begin(0);
        tb_say_error(TB_ERR_LOAD_SIZE);
        return;
    }
    announced_bytes = (uint32_t)bytes;
    tb_put("m-tb-bin-[");
    tb_put_unsigned(announced_bytes);
    tb_say("]");
}

bool tb_bin_receive(void) {
    if (announced_bytes == 0) {
        return false;
    }
    const tb_status status = tb_load_receive(announced_bytes);
    announced_bytes = 0;
    if (status == TB_OK) {
        tb_say("m-load-done");
    } else {
        tb_say_error(status);
    }
    return true;
}

static void out_verb(char **words) {
    (void)words;
    tb_results_say_bytes();
}

static void lat_verb(char **words) {
    const int32_t count = next_number(words, DEFAULT_COUNT);
    const int32_t warmup = next_number(words, DEFAULT_WARMUP);
    if (count <= 0 || warmup < 0) {
        tb_say_error(TB_ERR_COUNT);
        return;
    }
    tb_measure_each((uint32_t)count, (uint32_t)warmup);
}

static void say_memory(const char *name, uint32_t used, uint32_t reserved) {
    tb_put(name);
    tb_put_unsigned(used);
    tb_put_character(' ');
    tb_put_unsigned(reserved);
    tb_say("]");
}

static void mem_verb(char **words) {
    (void)words;
    say_memory("m-tb-mem-arena-[", tb_engine_arena_used(), tb_engine_arena_reserved());
#if TB_INSTRUMENTED
    say_memory("m-tb-mem-stack-[", tb_stack_used_bytes(), tb_stack_reserved_bytes());
#else
    tb_put("m-tb-mem-stack-[- ");
    tb_put_unsigned(tb_stack_reserved_bytes());
    tb_say("]");
#endif
    say_memory("m-tb-mem-heap-[", 0, 0);
}

static void layers_verb(char **words) {
    (void)words;
    tb_operators_say();
}

static void baud_verb(char **words) {
    const int32_t wanted = next_number(words, 0);
    if (wanted <= 0 || !tb_port_baud_possible((uint32_t)wanted)) {
        tb_say_error(TB_ERR_BAUD);
        return;
    }
    baud.wanted = (uint32_t)wanted;
    tb_put("m-tb-baud-[");
    tb_put_unsigned(baud.wanted);
    tb_say("]");
}

void tb_baud_change(void) {
    if (baud.wanted == 0) {
        return;
    }
    tb_port_set_baud(baud.wanted);
    baud.before = baud.unconfirmed ? baud.before : baud.now;
    baud.now = baud.wanted;
    baud.wanted = 0;
    baud.unconfirmed = true;
    baud.since = tb_clock_ticks();
}

void tb_baud_confirm(void) {
    baud.unconfirmed = false;
}

bool tb_baud_lapsed(void) {
    if (!baud.unconfirmed || !tb_clock_passed(baud.since, BAUD_CONFIRMATION_MS)) {
        return false;
    }
    tb_port_set_baud(baud.before);
    baud.now = baud.before;
    baud.unconfirmed = false;
    return true;
}

void tb_run_own_verb(char **words) {
    static const tb_verb verbs[] = {
        {"caps", caps_verb}, {"id", id_verb},   {"clk", clk_verb}, {"bin", bin_verb},       {"out", out_verb},
        {"lat", lat_verb},   {"mem", mem_verb}, {"baud", baud_verb}, {"layers", layers_verb},
    };
    const char *name = tb_next_word(words);
    if (name == NULL || !tb_run_verb(verbs, sizeof verbs / sizeof verbs[0], name, words)) {
        tb_say_unknown("tb");
    }
}
