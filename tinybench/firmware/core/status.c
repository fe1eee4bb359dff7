#include "tb_status.h"

#include <stdint.h>

static const char *const texts[TB_STATUS_COUNT] = {
#define TB_STATUS_TEXT(code, text) text,
    TB_STATUS_LIST(TB_STATUS_TEXT)
#undef TB_STATUS_TEXT
};

const char *tb_status_text(tb_status status) {
    return (uint32_t)status < TB_STATUS_COUNT ? texts[status] : "Unknown status";
}
