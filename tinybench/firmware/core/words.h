/* A command taken apart: words between spaces, numbers as C's atoi reads them. */
#ifndef TB_WORDS_H
#define TB_WORDS_H

#include <stdbool.h>
#include <stdint.h>

/* The next word, which it ends with a NUL in place, or null after the last. `rest` moves on. */
char *tb_next_word(char **rest);

bool tb_word_is(const char *word, const char *expected);

/* Leading white space, a sign, digits; whatever follows is ignored, no digits are 0. What an int32 cannot hold
 * becomes the nearest it can. */
int32_t tb_integer(const char *word);

/* The value of a hexadecimal digit, -1 if it is none. */
int32_t tb_hex_digit(char digit);

#endif
