/* Reads floats as hexadecimal bits, one a line; writes what the firmware and what printf make of each. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tb_port.h"
#include "text.h"

void tb_port_write(const char *data, uint32_t length) {
    (void)fwrite(data, 1, length, stdout);
}

int main(void) {
    uint32_t bits;
    while (scanf("%" SCNx32, &bits) == 1) {
        float value;
        memcpy(&value, &bits, sizeof value);
        tb_put_thousandths(value);
        tb_put("\n");
        tb_flush();
        printf("%0.3f\n", (double)value);
    }
    return 0;
}
