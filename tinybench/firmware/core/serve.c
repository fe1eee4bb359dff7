/* The conversation: commands up to `%`, replies up to `m-ready`. */
#include <stddef.h>

#include "clock.h"
#include "measure.h"
#include "own.h"
#include "stack.h"
#include "tb_port.h"
#include "text.h"
#include "verbs.h"
#include "words.h"

enum { COMMAND_CHARACTERS = 80 };

static const char terminator = '%';

static struct {
    char text[COMMAND_CHARACTERS + 1];
    uint32_t length;
} command;

static void say_ready(void) {
    tb_say("m-ready");
}

void tb_say_unknown(const char *name) {
    tb_put("e-[Unknown command: ");
    tb_put_printable(name);
    tb_say("]");
}

bool tb_run_verb(const tb_verb *table, uint32_t count, const char *name, char **words) {
    for (uint32_t i = 0; i < count; i++) {
        if (tb_word_is(name, table[i].name)) {
            table[i].run(words);
            return true;
        }
    }
    return false;
}

static void run(char *words) {
    const char *name = tb_next_word(&words);
    if (name == NULL) {
        return;
    }
    if (tb_word_is(name, "tb")) {
        tb_run_own_verb(&words);
    } else if (tb_run_batch_verb(name, &words)) {
        tb_baud_confirm();
    } else {
        tb_say_unknown(name);
    }
}

static void run_command(void) {
    command.text[command.length] = '\0';
    command.length = 0;
    run(command.text);
    say_ready();
    if (tb_bin_receive()) {
        say_ready();
    }
    tb_baud_change();
}

/* What exceeds the buffer is dropped, as the reference does. */
static void take(char character) {
    if (character == terminator) {
        run_command();
    } else if (character == '\r' || character == '\n' || character == '\0') {
        return;
    } else if (command.length < COMMAND_CHARACTERS) {
        command.text[command.length++] = character;
    }
}

/* Nothing to do: time goes on, and a speed that nobody answers at is given up. */
static void idle(void) {
    (void)tb_clock_ticks();
    if (tb_baud_lapsed()) {
        command.length = 0;
    }
}

static void say_boot_block(void) {
    tb_say("m-timestamp-mode-performance");
    tb_measure_say_lap(tb_clock_ticks());
    const tb_status status = tb_measure_begin();
    if (status != TB_OK) {
        tb_say_error(status);
    }
    tb_say("m-init-done");
    say_ready();
}

int main(void) {
#if TB_INSTRUMENTED
    tb_stack_paint();
#endif
    tb_port_init();
    say_boot_block();
    for (;;) {
        const int next = tb_port_read();
        if (next < 0) {
            idle();
        } else {
            take((char)next);
        }
    }
}
