#include "results.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "load.h"
#include "tb_engine.h"
#include "tb_workload.h"
#include "text.h"

enum { HEX_DIGITS_PER_BYTE = 2 };

static bool there;

static uint32_t element_bytes(const tb_tensor *tensor) {
    return tensor->type == TB_INT8 ? 1U : tensor->type == TB_INT16 ? 2U : 4U;
}

static float dequantised(const tb_tensor *tensor, uint32_t index) {
    const uint8_t *at = (const uint8_t *)tensor->data + index * element_bytes(tensor);
    float real = 0;
    int16_t wide = 0;
    switch (tensor->type) {
        case TB_FLOAT32:
            memcpy(&real, at, sizeof real);
            return real;
        case TB_INT16:
            memcpy(&wide, at, sizeof wide);
            return (float)(wide - tensor->zero_point) * tensor->scale;
        case TB_INT8:
        default:
            return (float)((int8_t)*at - tensor->zero_point) * tensor->scale;
    }
}

#if TB_RESULTS == TB_RESULTS_MEAN_SQUARED_ERROR
static float input_value(uint32_t index) {
    uint8_t bytes[sizeof(float)];
    float value;
    for (uint32_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = tb_load_peek(index * (uint32_t)sizeof bytes + i);
    }
    memcpy(&value, bytes, sizeof value);
    return value;
}

static float mean_squared_error;

/* In single precision and in order, as the reference adds up; before another load replaces the input. */
static void take_values(const tb_tensor *output) {
    float sum = 0;
    for (uint32_t i = 0; i < TB_INPUT_ELEMENTS; i++) {
        const float error = dequantised(output, i) - input_value(i);
        sum += error * error;
    }
    mean_squared_error = sum / (float)TB_INPUT_ELEMENTS;
}

static void put_values(const tb_tensor *output) {
    (void)output;
    tb_put_thousandths(mean_squared_error);
}
#else
static void take_values(const tb_tensor *output) {
    (void)output;
}

static void put_values(const tb_tensor *output) {
    const uint32_t count = output->bytes / element_bytes(output);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            tb_put_character(',');
        }
        tb_put_thousandths(dequantised(output, i));
    }
}
#endif

void tb_results_take(tb_status status) {
    there = status == TB_OK;
    if (there) {
        const tb_tensor output = tb_engine_output();
        take_values(&output);
    }
}

void tb_results_say(void) {
    if (!there) {
        tb_say_error(TB_ERR_NO_OUTPUT);
        return;
    }
    const tb_tensor output = tb_engine_output();
    tb_put("m-results-[");
    put_values(&output);
    tb_say("]");
}

void tb_results_say_bytes(void) {
    if (!there) {
        tb_say_error(TB_ERR_NO_OUTPUT);
        return;
    }
    const tb_tensor output = tb_engine_output();
    tb_put("m-tb-out-[");
    for (uint32_t i = 0; i < output.bytes; i++) {
        tb_put_hex(((const uint8_t *)output.data)[i], HEX_DIGITS_PER_BYTE);
    }
    tb_say("]");
}
