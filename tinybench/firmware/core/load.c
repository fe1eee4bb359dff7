#include "load.h"

#include <string.h>

#include "clock.h"
#include "crc32.h"
#include "tb_engine.h"
#include "tb_port.h"
#include "tb_workload.h"

enum { SILENCE_LIMIT_MS = 2000, CRC_BYTES = 4, BYTE_BITS = 8, SIGN_BIT = 0x80 };

/* An uint8 of the wire is an int8 of the tensor plus 128: flipping the top bit does it, both ways. */
#if TB_ENCODING == TB_ENCODING_UINT8
enum { FLIPPED_BITS = SIGN_BIT };
#else
enum { FLIPPED_BITS = 0 };
#endif

#if TB_ENCODING == TB_ENCODING_FLOAT32
enum { WIRE_BYTES = TB_INPUT_ELEMENTS * 4 };
#elif TB_ENCODING == TB_ENCODING_INT16
enum { WIRE_BYTES = TB_INPUT_ELEMENTS * 2 };
#else
enum { WIRE_BYTES = TB_INPUT_ELEMENTS };
#endif

_Static_assert(WIRE_BYTES == TB_INPUT_BYTES, "the wire carries one value for each element of the input");

/* Aligned so that copying it into a tensor is a copy of words. */
static _Alignas(16) uint8_t buffer[WIRE_BYTES];
static uint32_t expected;
static uint32_t received;

/* Kept so that the loop around inferences need not ask the engine. */
static struct {
    void *to;
    const void *from;
    uint32_t bytes;
} input;

tb_status tb_load_begin(uint32_t bytes) {
    received = 0;
    expected = bytes <= WIRE_BYTES ? bytes : 0;
    return expected != 0 ? TB_OK : TB_ERR_LOAD_SIZE;
}

tb_status tb_load_byte(uint8_t byte) {
    if (received == expected) {
        return TB_ERR_NO_LOAD;
    }
    buffer[received++] = byte ^ FLIPPED_BITS;
    return TB_OK;
}

uint32_t tb_load_expected(void) {
    return expected;
}

bool tb_load_complete(void) {
    return expected != 0 && received == expected;
}

uint8_t tb_load_peek(uint32_t index) {
    return buffer[index] ^ FLIPPED_BITS;
}

/* The next byte of the line, or TB_ERR_SILENCE if none comes in time. */
static tb_status await_byte(uint8_t *byte) {
    int next = tb_port_read();
    if (next < 0) {
        const uint64_t start = tb_clock_ticks();
        while ((next = tb_port_read()) < 0) {
            if (tb_clock_passed(start, SILENCE_LIMIT_MS)) {
                return TB_ERR_SILENCE;
            }
        }
    }
    *byte = (uint8_t)next;
    return TB_OK;
}

static tb_status receive_bytes(uint32_t bytes) {
    uint32_t crc = 0;
    uint8_t byte = 0;
    for (uint32_t i = 0; i < bytes; i++) {
        if (await_byte(&byte) != TB_OK) {
            return TB_ERR_SILENCE;
        }
        crc = tb_crc32(crc, byte);
        (void)tb_load_byte(byte);
    }
    uint32_t sent = 0;
    for (uint32_t i = 0; i < CRC_BYTES; i++) {
        if (await_byte(&byte) != TB_OK) {
            return TB_ERR_SILENCE;
        }
        sent |= (uint32_t)byte << (i * BYTE_BITS);
    }
    return sent == crc ? TB_OK : TB_ERR_CRC;
}

tb_status tb_load_receive(uint32_t bytes) {
    tb_status status = tb_load_begin(bytes);
    if (status == TB_OK) {
        status = receive_bytes(bytes);
    }
    if (status != TB_OK) {
        (void)tb_load_begin(0);
    }
    return status;
}

#if TB_QUANTISES
static int8_t quantised[TB_INPUT_ELEMENTS];

static float float_at(uint32_t index) {
    float value;
    memcpy(&value, &buffer[index * sizeof value], sizeof value);
    return value;
}

/* Rounded to nearest, halves away from zero, as the reference does with C's round(); outside of int8 clamped,
 * and what is no number becomes zero. */
static int8_t quantise(float value, const tb_tensor *tensor) {
    const float quotient = value / tensor->scale;
    const float far = 1024.0F;
    if (!(quotient > -far && quotient < far)) {
        return (int8_t)(quotient >= far ? INT8_MAX : quotient <= -far ? INT8_MIN : tensor->zero_point);
    }
    const int32_t whole = (int32_t)quotient;
    const float rest = quotient - (float)whole;
    const int32_t rounded = whole + (rest >= 0.5F ? 1 : 0) - (rest <= -0.5F ? 1 : 0) + tensor->zero_point;
    return (int8_t)(rounded < INT8_MIN ? INT8_MIN : rounded > INT8_MAX ? INT8_MAX : rounded);
}

static const void *tensor_bytes(const tb_tensor *tensor) {
    for (uint32_t i = 0; i < TB_INPUT_ELEMENTS; i++) {
        quantised[i] = quantise(float_at(i), tensor);
    }
    return quantised;
}
#else
static const void *tensor_bytes(const tb_tensor *tensor) {
    (void)tensor;
    return buffer;
}
#endif

tb_status tb_load_prepare(void) {
    const tb_tensor tensor = tb_engine_input();
    if (!tb_load_complete() || expected != WIRE_BYTES || tensor.bytes != TB_TENSOR_BYTES) {
        return TB_ERR_INPUT_SIZE;
    }
    input.from = tensor_bytes(&tensor);
    input.to = tensor.data;
    input.bytes = tensor.bytes;
    return TB_OK;
}

void tb_load_write_input(void) {
    memcpy(input.to, input.from, input.bytes);
}
