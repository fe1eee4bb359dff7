/* What the debugger reads from the algorithm's ELF before it copies anything: struct FlashDevice of the
 * Open-CMSIS-Pack specification. The figures come from the board's TOML as macros. */
#include <stdint.h>

#define SECTOR_LIST_END 0xFFFFFFFFu
#define ON_CHIP_FLASH 1u
#define DRIVER_VERSION 0x0101u

struct flash_device {
    uint16_t version;
    char name[128];
    uint16_t type;
    uint32_t origin;
    uint32_t bytes;
    uint32_t page_bytes;
    uint32_t reserved;
    uint8_t erased_value;
    uint32_t program_timeout_ms;
    uint32_t erase_timeout_ms;
    struct {
        uint32_t bytes;
        uint32_t offset;
    } sectors[8];
};

__attribute__((section("DevDscr"), used)) const struct flash_device FlashDevice = {
    .version = DRIVER_VERSION,
    .name = "tinybench",
    .type = ON_CHIP_FLASH,
    .origin = TB_FLASH_ORIGIN,
    .bytes = TB_FLASH_BYTES,
    .page_bytes = TB_PAGE_BYTES,
    .erased_value = 0xFF,
    .program_timeout_ms = 1000,
    .erase_timeout_ms = 6000,
    .sectors = {TB_SECTORS, {SECTOR_LIST_END, SECTOR_LIST_END}},
};
