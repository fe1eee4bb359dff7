#include "words.h"

#include <stddef.h>

static const char separator = ' ';

char *tb_next_word(char **rest) {
    char *word = *rest;
    while (*word == separator) {
        word++;
    }
    char *end = word;
    while (*end != separator && *end != '\0') {
        end++;
    }
    *rest = *end == '\0' ? end : end + 1;
    *end = '\0';
    return end == word ? NULL : word;
}

bool tb_word_is(const char *word, const char *expected) {
    while (*word != '\0' && *word == *expected) {
        word++;
        expected++;
    }
    return *word == *expected;
}

int32_t tb_integer(const char *word) {
    while (*word == ' ' || (*word >= '\t' && *word <= '\r')) {
        word++;
    }
    const bool negative = *word == '-';
    if (*word == '-' || *word == '+') {
        word++;
    }
    const int64_t limit = negative ? -(int64_t)INT32_MIN : INT32_MAX;
    int64_t value = 0;
    for (; *word >= '0' && *word <= '9'; word++) {
        value = value * 10 + (*word - '0');
        value = value > limit ? limit : value;
    }
    return (int32_t)(negative ? -value : value);
}

int32_t tb_hex_digit(char digit) {
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}
