/* The verbs of the MLPerf Tiny API, answered as its reference does (mlcommons/tiny,
 * benchmark/api/internally_implemented.cpp); docs/wire.md lists where we differ on purpose. */
#include <stddef.h>

#include "clock.h"
#include "load.h"
#include "measure.h"
#include "results.h"
#include "tb_target.h"
#include "tb_workload.h"
#include "text.h"
#include "verbs.h"
#include "words.h"

enum { BUFFER_BYTES_PER_LINE = 8, HEX_DIGITS_PER_BYTE = 2, DEFAULT_COUNT = 1, DEFAULT_WARMUP = 10 };

static const char firmware_version[] = "ULPMark for tinyML Firmware V0.0.1";

static void name_verb(char **words) {
    (void)words;
    tb_say("m-name-dut-[tinybench " TB_TARGET_NAME "]");
}

static void timestamp_verb(char **words) {
    (void)words;
    tb_measure_say_lap(tb_clock_ticks());
}

static void profile_verb(char **words) {
    (void)words;
    tb_put("m-profile-[");
    tb_put(firmware_version);
    tb_say("]");
    tb_say("m-model-[" TB_MODEL_ID "]");
}

static void help_verb(char **words) {
    (void)words;
    tb_say(firmware_version);
    tb_say("");
    tb_say("tinybench: commands end with a percent sign, replies with a ready line");
    tb_say("name | profile | timestamp | results");
    tb_say("db load N | db HEX | db print");
    tb_say("infer N W: N timed inferences (1) after W others (10)");
    tb_say("tb caps: the verbs of tinybench");
}

static void begin_load(char **words) {
    const char *word = tb_next_word(words);
    if (word == NULL) {
        tb_say("e-[Command 'db load' requires the # of bytes]");
        return;
    }
    const int32_t bytes = tb_integer(word);
    const bool fits = tb_load_begin((uint32_t)bytes) == TB_OK;
    if (bytes == 0) {
        tb_say("e-[Command 'db load' must be >0 bytes]");
        return;
    }
    tb_put(fits ? "m-[Expecting " : "Supplied buffer size ");
    tb_put_signed(bytes);
    tb_put(fits ? " bytes]\r\n" : " exceeds maximum of ");
    if (!fits) {
        tb_put_unsigned(TB_INPUT_BYTES);
        tb_put_character('\n'); /* alone, as in the reference */
    }
    tb_flush();
}

static void print_load(void) {
    const uint32_t bytes = tb_load_expected();
    for (uint32_t i = 0; i < bytes; i++) {
        tb_put(i % BUFFER_BYTES_PER_LINE == 0 ? "m-buffer-" : "-");
        tb_put_hex(tb_load_peek(i), HEX_DIGITS_PER_BYTE);
        if ((i + 1U) % BUFFER_BYTES_PER_LINE == 0 || i + 1U == bytes) {
            tb_end_line();
        }
    }
    if (bytes % BUFFER_BYTES_PER_LINE != 0) {
        tb_end_line();
    }
}

static void say_bad_digits(const char *digits) {
    tb_put("e-[Invalid hex digit '");
    tb_put_printable((const char[]){digits[0], digits[1], '\0'});
    tb_say("']");
}

/* Digits after the last byte that was expected are ignored, in the same command. */
static void take_digits(const char *digits) {
    uint32_t count = 0;
    while (digits[count] != '\0') {
        count++;
    }
    if (count % HEX_DIGITS_PER_BYTE != 0) {
        tb_say("e-[Insufficent number of hex digits]");
        return;
    }
    for (; *digits != '\0'; digits += HEX_DIGITS_PER_BYTE) {
        const int32_t high = tb_hex_digit(digits[0]);
        const int32_t low = tb_hex_digit(digits[1]);
        if (high < 0 || low < 0) {
            say_bad_digits(digits);
            return;
        }
        const tb_status status = tb_load_byte((uint8_t)(high * 16 + low));
        if (status != TB_OK) {
            tb_say_error(status);
            return;
        }
        if (tb_load_complete()) {
            tb_say("m-load-done");
            return;
        }
    }
}

static void db_verb(char **words) {
    const char *word = tb_next_word(words);
    if (word == NULL) {
        tb_say("e-[Command 'db' requires a subcommand]");
    } else if (tb_word_is(word, "load")) {
        begin_load(words);
    } else if (tb_word_is(word, "print")) {
        print_load();
    } else {
        take_digits(word);
    }
}

static void infer_verb(char **words) {
    const char *count_word = tb_next_word(words);
    const char *warmup_word = tb_next_word(words);
    const int32_t count = count_word == NULL ? DEFAULT_COUNT : tb_integer(count_word);
    const int32_t warmup = warmup_word == NULL ? DEFAULT_WARMUP : tb_integer(warmup_word);
    if (count <= 0) {
        tb_say("e-[Inference iterations must be >0]");
    } else if (warmup < 0) {
        tb_say("e-[Inference warmup must be >=0]");
    } else {
        tb_measure_window((uint32_t)count, (uint32_t)warmup);
    }
}

static void results_verb(char **words) {
    (void)words;
    tb_results_say();
}

bool tb_run_batch_verb(const char *name, char **words) {
    static const tb_verb verbs[] = {
        {"name", name_verb}, {"timestamp", timestamp_verb}, {"profile", profile_verb}, {"help", help_verb},
        {"db", db_verb},     {"infer", infer_verb},         {"results", results_verb},
    };
    return tb_run_verb(verbs, sizeof verbs / sizeof verbs[0], name, words);
}
