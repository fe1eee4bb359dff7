/* What the firmware understands. A verb says its reply; whoever called it says `m-ready`. */
#ifndef TB_VERBS_H
#define TB_VERBS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *name;
    void (*run)(char **words);
} tb_verb;

/* Runs the verb of this name with the words that follow it; false if the table has none. */
bool tb_run_verb(const tb_verb *table, uint32_t count, const char *name, char **words);

/* The verbs of the MLPerf Tiny API, and ours behind `tb`. */
bool tb_run_batch_verb(const char *name, char **words);
void tb_run_own_verb(char **words);

/* `e-[Unknown command: <name>]`. */
void tb_say_unknown(const char *name);

#endif
