/* STM32H742/743/753, two banks of 128 KiB sectors. Registers and bits: stm32h743xx.h (FLASH_TypeDef, FLASH_CR_*,
 * FLASH_SR_*, FLASH_CCR_*, FLASH_SECTOR_SIZE); keys: stm32h7xx_hal_flash.h; sequences: RM0433 section 4.3 (unlock,
 * sector erase, programming of flash words of 256 bits). Option bytes are never touched.
 *
 * pyOCD 0.46 has an algorithm of its own for this chip: its EraseSector erases the sector that follows as well, and
 * it never reports an error. */
#include "flash_algorithm.h"

typedef struct {
    volatile uint32_t acr, keyr, optkeyr, cr, sr, ccr;
} flash_registers;

#define FLASH_R_BASE 0x52002000u
#define BANK_STRIDE 0x100u /* KEYR2, CR2, SR2, CCR2 */

#define KEY1 0x45670123u
#define KEY2 0xCDEF89ABu
#define SR_BUSY 0x00000007u   /* BSY, WBNE, QW */
#define SR_ERRORS 0x01EE0000u /* WRPERR PGSERR STRBERR INCERR OPERR RDPERR RDSERR */
#define SR_EOP 0x00010000u
#define CR_LOCK 0x00000001u
#define CR_PG 0x00000002u
#define CR_SER 0x00000004u
#define CR_PSIZE_64 0x00000030u
#define CR_START 0x00000080u
#define CR_SNB_SHIFT 8u

/* The debugger has a time-out of its own; this one only ends a loop that can never end. */
#define LONGEST_WAIT 0x08000000u

#define SECTOR_SHIFT 17u /* 128 KiB */
#define BANK_BYTES (TB_FLASH_BYTES / 2u)
#define WORDS_OF_A_FLASH_WORD 8u

static inline flash_registers *bank_of(uint32_t address)
{
    const uint32_t second = (address - TB_FLASH_ORIGIN) >= BANK_BYTES ? BANK_STRIDE : 0u;
    return (flash_registers *)(FLASH_R_BASE + second);
}

static inline int settle(flash_registers *flash)
{
    uint32_t left = LONGEST_WAIT;
    __asm__ volatile("isb\n dsb" ::: "memory");
    while ((flash->sr & SR_BUSY) != 0u) {
        if (--left == 0u) {
            return FLASH_FAILED;
        }
    }
    const uint32_t errors = flash->sr & SR_ERRORS;
    flash->ccr = errors | SR_EOP; /* written ones clear */
    return errors != 0u ? FLASH_FAILED : FLASH_OK;
}

static inline int unlock(flash_registers *flash)
{
    if ((flash->cr & CR_LOCK) != 0u) {
        flash->keyr = KEY1;
        flash->keyr = KEY2;
    }
    (void)settle(flash); /* clears what an earlier program left behind */
    return (flash->cr & CR_LOCK) != 0u ? FLASH_FAILED : FLASH_OK;
}

int Init(uint32_t address, uint32_t clock_hz, uint32_t function)
{
    (void)address;
    (void)clock_hz;
    (void)function;
    const int first = unlock(bank_of(TB_FLASH_ORIGIN));
    const int second = unlock(bank_of(TB_FLASH_ORIGIN + BANK_BYTES));
    return first != FLASH_OK ? first : second;
}

int UnInit(uint32_t function)
{
    (void)function;
    bank_of(TB_FLASH_ORIGIN)->cr = CR_LOCK;
    bank_of(TB_FLASH_ORIGIN + BANK_BYTES)->cr = CR_LOCK;
    return FLASH_OK;
}

int EraseSector(uint32_t address)
{
    flash_registers *flash = bank_of(address);
    const uint32_t sector = ((address - TB_FLASH_ORIGIN) % BANK_BYTES) >> SECTOR_SHIFT;
    flash->cr = CR_SER | CR_PSIZE_64 | (sector << CR_SNB_SHIFT);
    flash->cr |= CR_START;
    const int result = settle(flash);
    flash->cr = 0u;
    return result;
}

/* What is missing of the last flash word is written as if erased. */
int ProgramPage(uint32_t address, uint32_t size, const uint8_t *data)
{
    flash_registers *flash = bank_of(address);
    volatile uint32_t *to = (volatile uint32_t *)address;
    const uint32_t *from = (const uint32_t *)(const void *)data;
    uint32_t words = (size + 3u) / 4u;
    int result = FLASH_OK;

    flash->cr = CR_PG | CR_PSIZE_64;
    while (words > 0u && result == FLASH_OK) {
        for (uint32_t i = 0u; i < WORDS_OF_A_FLASH_WORD; i++) {
            if (words > 0u) {
                *to++ = *from++;
                words--;
            } else {
                *to++ = 0xFFFFFFFFu;
            }
        }
        result = settle(flash);
    }
    flash->cr = 0u;
    return result;
}
