/* Firmware that is not ours, for tests of finished ELFs: a closed box that speaks MLPerf Tiny's protocol on a
 * NUCLEO-F746ZG, slowly, from the 16 MHz oscillator that the chip starts with. Only the model inside is C of
 * ours. Registers: stm32f746xx.h and core_cm7.h of CMSIS. */
#include <stdint.h>
#include <string.h>

#include "tb_engine.h"

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define RCC_AHB1ENR REGISTER(0x40023830)
#define RCC_APB1ENR REGISTER(0x40023840)
#define GPIOD_MODER REGISTER(0x40020C00)
#define GPIOD_AFRH REGISTER(0x40020C24)
#define USART3_CR1 REGISTER(0x40004800)
#define USART3_BRR REGISTER(0x4000480C)
#define USART3_ISR REGISTER(0x4000481C)
#define USART3_RDR REGISTER(0x40004824)
#define USART3_TDR REGISTER(0x40004828)
#define DEMCR REGISTER(0xE000EDFC)
#define DWT_CTRL REGISTER(0xE0001000)
#define DWT_CYCCNT REGISTER(0xE0001004)
#define DWT_LAR REGISTER(0xE0001FB0)

enum { HSI_HZ = 16000000, BAUD = 115200, LINE_BYTES = 256, INPUT_BYTES = 4096 };

extern uint32_t stack_top[], data_start[], data_end[], data_load[], bss_start[], bss_end[];

static char line[LINE_BYTES];
static uint8_t buffer[INPUT_BYTES];
static uint32_t expected, received;

void reset(void);
void th_infer(void);
int main(void);

static void stop(void) {
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_top, (void *)reset, (void *)stop, (void *)stop, (void *)stop, (void *)stop, (void *)stop,
};

static void start_line(void) {
    RCC_AHB1ENR |= 1U << 3;
    RCC_APB1ENR |= 1U << 18;
    GPIOD_MODER = (GPIOD_MODER & ~(0xFU << 16)) | (0xAU << 16);
    GPIOD_AFRH = (GPIOD_AFRH & ~0xFFU) | 0x77U;
    USART3_BRR = (HSI_HZ + BAUD / 2) / BAUD;
    USART3_CR1 = (1U << 0) | (1U << 2) | (1U << 3);
}

static void put(const char *text) {
    for (; *text != '\0'; text++) {
        while ((USART3_ISR & (1U << 7)) == 0) {
        }
        USART3_TDR = (uint32_t)*text;
    }
}

static void say(const char *text) {
    put(text);
    put("\r\n");
}

static void put_number(uint32_t value, int digits) {
    char text[11] = {0};
    int at = 10;
    do {
        text[--at] = (char)('0' + value % 10);
        value /= 10;
        digits--;
    } while (value != 0 || digits > 0);
    put(text + at);
}

static void say_lap(void) {
    put("m-lap-us-");
    put_number(DWT_CYCCNT / (HSI_HZ / 1000000), 1);
    say("");
}

static int digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static uint32_t number(const char **text) {
    uint32_t value = 0;
    while (**text == ' ') {
        (*text)++;
    }
    for (; **text >= '0' && **text <= '9'; (*text)++) {
        value = value * 10U + (uint32_t)(**text - '0');
    }
    return value;
}

static void take(const char *digits) {
    for (; digit(digits[0]) >= 0 && digit(digits[1]) >= 0 && received < expected; digits += 2) {
        buffer[received++] = (uint8_t)(digit(digits[0]) * 16 + digit(digits[1]));
    }
    if (received == expected) {
        say("m-load-done");
    }
}

/* One inference, as MLPerf Tiny's API calls it; a build may leave out the name by making this static. */
#ifdef NAMELESS
static
#endif
__attribute__((noinline)) void th_infer(void) {
    const tb_tensor input = tb_engine_input();
    memcpy(input.data, buffer, input.bytes);
    (void)tb_engine_invoke();
}

static void say_results(void) {
    const tb_tensor output = tb_engine_output();
    const int8_t *scores = output.data;
    put("m-results-[");
    for (uint32_t i = 0; i < output.bytes; i++) {
        const float score = (float)(scores[i] - output.zero_point) * output.scale + (float)WRONG / 10.0F;
        const uint32_t thousandths = (uint32_t)(score * 1000.0F + 0.5F);
        put(i == 0 ? "" : ",");
        put_number(thousandths / 1000, 1);
        put(".");
        put_number(thousandths % 1000, 3);
    }
    say("]");
}

static void infer(const char *words) {
    const uint32_t count = number(&words);
    const uint32_t warmup = number(&words);
    put("m-warmup-start-");
    put_number(warmup, 1);
    say("");
    for (uint32_t i = 0; i < warmup; i++) {
        th_infer();
    }
    say("m-warmup-done");
    put("m-infer-start-");
    put_number(count, 1);
    say("");
    say_lap();
    for (uint32_t i = 0; i < count; i++) {
        th_infer();
    }
    say_lap();
    say("m-infer-done");
    say_results();
}

static void answer(const char *words) {
    if (strcmp(words, "name") == 0) {
        say("m-name-dut-[closed box]");
    } else if (strcmp(words, "profile") == 0) {
        say("m-profile-[ULPMark for tinyML Firmware V0.0.1]");
        say("m-model-[" MODEL "]");
    } else if (strcmp(words, "timestamp") == 0) {
        say_lap();
    } else if (strncmp(words, "db load ", 8) == 0) {
        words += 8;
        expected = number(&words);
        received = 0;
        put("m-[Expecting ");
        put_number(expected, 1);
        say(" bytes]");
    } else if (strncmp(words, "db ", 3) == 0) {
        take(words + 3);
    } else if (strncmp(words, "infer ", 6) == 0) {
        infer(words + 6);
    } else if (strcmp(words, "results") == 0) {
        say_results();
    } else {
        put("e-[Unknown command: ");
        put(words);
        say("]");
    }
    say("m-ready");
}

int main(void) {
    uint32_t length = 0;
    start_line();
    DEMCR |= 1U << 24;
    DWT_LAR = 0xC5ACCE55;
    DWT_CTRL |= 1U;
    (void)tb_engine_init();
    say("m-timestamp-mode-performance");
    say("m-init-done");
    say("m-ready");
    for (;;) {
        if ((USART3_ISR & (1U << 5)) == 0) {
            continue;
        }
        const char c = (char)USART3_RDR;
        if (c == '%') {
            line[length] = '\0';
            length = 0;
            answer(line);
        } else if (length + 1 < LINE_BYTES && c != '\r' && c != '\n') {
            line[length++] = c;
        }
    }
}

void reset(void) {
    memcpy(data_start, data_load, (size_t)((uint8_t *)data_end - (uint8_t *)data_start));
    memset(bss_start, 0, (size_t)((uint8_t *)bss_end - (uint8_t *)bss_start));
    REGISTER(0xE000ED88) |= 0xFU << 20; /* CPACR: the FPU on */
    __asm__ volatile("dsb\n isb");
    main();
}
