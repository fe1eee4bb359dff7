/* This computer as a board: standard input and output are the line. */
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "tb_port.h"

enum { RECEIVE_BYTES = 4096, REST_MS = 1, LEAST_BAUD = 1200, MOST_BAUD = 4000000 };

static struct {
    uint8_t bytes[RECEIVE_BYTES];
    size_t next;
    size_t end;
} received;

void tb_port_init(void) {
}

/* Rests up to a millisecond while nothing comes; the end of the input is the end of the program. */
static void receive(void) {
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    if (poll(&input, 1, REST_MS) <= 0) {
        return;
    }
    const ssize_t got = read(STDIN_FILENO, received.bytes, sizeof received.bytes);
    if (got <= 0) {
        exit(EXIT_SUCCESS);
    }
    received.next = 0;
    received.end = (size_t)got;
}

int tb_port_read(void) {
    if (received.next == received.end) {
        received.next = received.end = 0;
        receive();
    }
    return received.next < received.end ? received.bytes[received.next++] : -1;
}

void tb_port_write(const char *data, uint32_t length) {
    while (length > 0) {
        const ssize_t sent = write(STDOUT_FILENO, data, length);
        if (sent <= 0) {
            exit(EXIT_FAILURE);
        }
        data += sent;
        length -= (uint32_t)sent;
    }
}

bool tb_port_baud_possible(uint32_t baud) {
    return baud >= LEAST_BAUD && baud <= MOST_BAUD;
}

void tb_port_set_baud(uint32_t baud) {
    (void)baud;
}

void tb_port_marker(bool high) {
    (void)high;
}

/* Whoever builds for this computer says what the build is called: 40 hexadecimal digits. */
static uint8_t digit_value(char digit) {
    return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

void tb_port_build_id(uint8_t id[TB_BUILD_ID_BYTES]) {
    static const char text[] = TB_HOST_BUILD_ID;
    _Static_assert(sizeof text == 2 * TB_BUILD_ID_BYTES + 1, "a build id has 40 digits");
    for (uint32_t i = 0; i < TB_BUILD_ID_BYTES; i++) {
        id[i] = (uint8_t)(digit_value(text[2 * i]) << 4 | digit_value(text[2 * i + 1]));
    }
}

tb_stack_area tb_port_stack(void) {
    return (tb_stack_area){.lowest = NULL, .end = NULL};
}
