#include "text.h"

#include <stdbool.h>
#include <string.h>

#include "tb_port.h"

enum {
    LINE_BYTES = 128,
    UINT32_DIGITS = 10,
    NIBBLE_BITS = 4,
    FLOAT_FRACTION_BITS = 23,
    FLOAT_EXPONENT_MASK = 0xFF,
    FLOAT_EXPONENT_OF_UNIT = 127 + FLOAT_FRACTION_BITS, /* bias of a fraction that is read as an integer */
    FLOAT_WORDS = 4,                                    /* 32-bit words that hold the largest float */
    WORD_BITS = 32,
    THOUSAND = 1000,
    SHIFT_TO_NOTHING = 36, /* a 24-bit fraction times 1000 has at most 34 bits: less than a half from here on */
    BILLION_DIGITS = 9,
    MOST_BILLIONS = 5 /* 2^128 has 39 digits */
};

static const uint32_t billion = 1000000000U;

static struct {
    char bytes[LINE_BYTES];
    uint32_t length;
    bool part_has_left;
} line;

static void send(void) {
    tb_port_write(line.bytes, line.length);
    line.length = 0;
}

void tb_put_character(char character) {
    if (line.length == LINE_BYTES) {
        send();
        line.part_has_left = true;
    }
    line.bytes[line.length++] = character;
}

void tb_put(const char *text) {
    while (*text != '\0') {
        tb_put_character(*text++);
    }
}

void tb_put_printable(const char *text) {
    for (; *text != '\0'; text++) {
        tb_put_character(*text >= ' ' && *text <= '~' ? *text : '?');
    }
}

/* At least `least` digits, leading zeros if need be. */
static void put_decimal(uint32_t value, uint32_t least) {
    char digits[UINT32_DIGITS];
    uint32_t count = 0;
    while (count < least || value != 0) {
        digits[count++] = (char)('0' + value % 10U);
        value /= 10U;
    }
    while (count > 0) {
        tb_put_character(digits[--count]);
    }
}

void tb_put_unsigned(uint32_t value) {
    put_decimal(value, 1);
}

void tb_put_signed(int32_t value) {
    if (value < 0) {
        tb_put_character('-');
    }
    tb_put_unsigned(value < 0 ? 0U - (uint32_t)value : (uint32_t)value);
}

void tb_put_hex(uint32_t value, uint32_t digits) {
    while (digits > 0) {
        digits--;
        tb_put_character("0123456789abcdef"[(value >> (digits * NIBBLE_BITS)) & 0xFU]);
    }
}

/* Divides the number in place and returns the remainder; `words` has its lowest word first. */
static uint32_t divide_by_billion(uint32_t words[FLOAT_WORDS]) {
    uint64_t remainder = 0;
    for (uint32_t i = FLOAT_WORDS; i-- > 0;) {
        const uint64_t part = (remainder << WORD_BITS) | words[i];
        words[i] = (uint32_t)(part / billion);
        remainder = part % billion;
    }
    return (uint32_t)remainder;
}

/* fraction * 2^shift, for a float that has no digits after the point. */
static void put_large_integer(uint32_t fraction, uint32_t shift) {
    uint32_t words[FLOAT_WORDS + 1] = {0};
    const uint64_t placed = (uint64_t)fraction << (shift % WORD_BITS);
    words[shift / WORD_BITS] = (uint32_t)placed;
    words[shift / WORD_BITS + 1U] = (uint32_t)(placed >> WORD_BITS);
    uint32_t billions[MOST_BILLIONS];
    uint32_t count = 0;
    do {
        billions[count++] = divide_by_billion(words);
    } while (count < MOST_BILLIONS && (words[0] | words[1] | words[2] | words[3]) != 0);
    put_decimal(billions[--count], 1);
    while (count > 0) {
        put_decimal(billions[--count], BILLION_DIGITS);
    }
}

/* fraction / 2^shift, in thousandths, rounded to nearest and halves to even. */
static uint32_t thousandths(uint32_t fraction, uint32_t shift) {
    if (shift >= SHIFT_TO_NOTHING) {
        return 0;
    }
    const uint64_t scaled = (uint64_t)fraction * THOUSAND;
    const uint64_t whole = scaled >> shift;
    const uint64_t rest = scaled & ((1ULL << shift) - 1U);
    const uint64_t half = (1ULL << shift) >> 1;
    const bool up = rest > half || (rest == half && (whole & 1U) != 0);
    return (uint32_t)(up ? whole + 1U : whole);
}

void tb_put_thousandths(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    const uint32_t exponent = (bits >> FLOAT_FRACTION_BITS) & FLOAT_EXPONENT_MASK;
    const uint32_t stored = bits & ((1U << FLOAT_FRACTION_BITS) - 1U);
    const uint32_t fraction = exponent == 0 ? stored : stored | (1U << FLOAT_FRACTION_BITS);
    const uint32_t power = exponent == 0 ? 1U : exponent;
    if ((bits >> 31) != 0) {
        tb_put_character('-');
    }
    if (exponent == FLOAT_EXPONENT_MASK) {
        tb_put(stored != 0 ? "nan" : "inf");
        return;
    }
    if (power > FLOAT_EXPONENT_OF_UNIT) {
        put_large_integer(fraction, power - FLOAT_EXPONENT_OF_UNIT);
        tb_put(".000");
        return;
    }
    /* A shift of 0 means a fraction of up to 2^24, whose thousandths do not fit 32 bits: it is whole anyway. */
    const uint32_t shift = FLOAT_EXPONENT_OF_UNIT - power;
    const uint32_t whole = shift <= FLOAT_FRACTION_BITS ? fraction >> shift : 0;
    const uint32_t rest = thousandths(fraction - (shift <= FLOAT_FRACTION_BITS ? whole << shift : 0), shift);
    put_decimal(whole + rest / THOUSAND, 1);
    tb_put_character('.');
    put_decimal(rest % THOUSAND, 3);
}

void tb_flush(void) {
    send();
    line.part_has_left = false;
}

void tb_end_line(void) {
    tb_put("\r\n");
    tb_flush();
}

void tb_abandon_line(void) {
    line.length = 0;
    if (line.part_has_left) {
        tb_end_line();
    }
}

void tb_say(const char *text) {
    tb_put(text);
    tb_end_line();
}

void tb_say_error(tb_status status) {
    tb_put("e-[");
    tb_put(tb_status_text(status));
    tb_say("]");
}
