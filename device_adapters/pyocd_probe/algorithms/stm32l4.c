/* STM32L4 and L4+ with two banks of equal size. Registers and bits: stm32l4r5xx.h (FLASH_TypeDef, FLASH_CR_*,
 * FLASH_SR_*); sequences: RM0432 section 3.3 (unlock, page erase, standard programming). Option bytes are never
 * touched. */
#include "flash_algorithm.h"

typedef struct {
    volatile uint32_t acr, pdkeyr, keyr, optkeyr, sr, cr;
} flash_registers;

#define FLASH ((flash_registers *)0x40022000u) /* FLASH_R_BASE */

#define KEY1 0x45670123u
#define KEY2 0xCDEF89ABu
#define SR_ERRORS 0x0000C3FAu /* OPERR PROGERR WRPERR PGAERR SIZERR PGSERR MISERR FASTERR RDERR OPTVERR */
#define SR_EOP 0x00000001u
#define SR_BSY 0x00010000u
#define CR_PG 0x00000001u
#define CR_PER 0x00000002u
#define CR_PNB_SHIFT 3u
#define CR_BKER 0x00000800u
#define CR_STRT 0x00010000u
#define CR_LOCK 0x80000000u

/* The debugger has a time-out of its own; this one only ends a loop that can never end. */
#define LONGEST_WAIT 0x08000000u

#define ERASE_PAGE_BYTES 0x1000u
#define BANK_BYTES (TB_FLASH_BYTES / 2u)

static inline int settle(void)
{
    uint32_t left = LONGEST_WAIT;
    __asm__ volatile("dsb" ::: "memory");
    while ((FLASH->sr & SR_BSY) != 0u) {
        if (--left == 0u) {
            return FLASH_FAILED;
        }
    }
    const uint32_t errors = FLASH->sr & SR_ERRORS;
    FLASH->sr = errors | SR_EOP; /* written ones clear */
    return errors != 0u ? FLASH_FAILED : FLASH_OK;
}

int Init(uint32_t address, uint32_t clock_hz, uint32_t function)
{
    (void)address;
    (void)clock_hz;
    (void)function;
    if ((FLASH->cr & CR_LOCK) != 0u) {
        FLASH->keyr = KEY1;
        FLASH->keyr = KEY2;
    }
    (void)settle(); /* clears what an earlier program left behind */
    return (FLASH->cr & CR_LOCK) != 0u ? FLASH_FAILED : FLASH_OK;
}

int UnInit(uint32_t function)
{
    (void)function;
    FLASH->cr = CR_LOCK;
    return FLASH_OK;
}

int EraseSector(uint32_t address)
{
    const uint32_t offset = address - TB_FLASH_ORIGIN;
    const uint32_t bank = offset >= BANK_BYTES ? CR_BKER : 0u;
    const uint32_t page = (offset % BANK_BYTES) / ERASE_PAGE_BYTES;
    FLASH->cr = CR_PER | bank | (page << CR_PNB_SHIFT);
    FLASH->cr |= CR_STRT;
    const int result = settle();
    FLASH->cr = 0u;
    return result;
}

int ProgramPage(uint32_t address, uint32_t size, const uint8_t *data)
{
    volatile uint32_t *to = (volatile uint32_t *)address;
    const uint32_t *from = (const uint32_t *)(const void *)data;
    int result = FLASH_OK;

    FLASH->cr = CR_PG;
    for (uint32_t left = (size + 7u) / 8u; left > 0u && result == FLASH_OK; left--) {
        *to++ = *from++; /* two words make the 64 bits that are programmed at once */
        *to++ = *from++;
        result = settle();
    }
    FLASH->cr = 0u;
    return result;
}
