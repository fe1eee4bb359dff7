/* STM32F74x/75x/76x/77x, single bank. Registers and bits: stm32f746xx.h (FLASH_TypeDef, FLASH_CR_*, FLASH_SR_*);
 * sequences: RM0385 section 3.3 (unlock, sector erase, programming). Writes 32 bits at a time, which asks for
 * a supply of 2.7 V or more: every Nucleo has it. Option bytes are never touched. */
#include "flash_algorithm.h"

typedef struct {
    volatile uint32_t acr, keyr, optkeyr, sr, cr;
} flash_registers;

#define FLASH ((flash_registers *)0x40023C00u) /* FLASH_R_BASE */

#define KEY1 0x45670123u
#define KEY2 0xCDEF89ABu
#define SR_ERRORS 0x000000F2u /* OPERR WRPERR PGAERR PGPERR ERSERR */
#define SR_EOP 0x00000001u
#define SR_BSY 0x00010000u
#define CR_PG 0x00000001u
#define CR_SER 0x00000002u
#define CR_SNB_SHIFT 3u
#define CR_PSIZE_32 0x00000200u
#define CR_STRT 0x00010000u
#define CR_LOCK 0x80000000u
#define ACR_ARTEN 0x00000200u
#define ACR_ARTRST 0x00000800u

/* The debugger has a time-out of its own; this one only ends a loop that can never end. */
#define LONGEST_WAIT 0x08000000u

#define SMALL_SECTOR_SHIFT 15u       /* sectors 0 to 3: 32 KiB */
#define LARGE_SECTOR_SHIFT 18u       /* from sector 5: 256 KiB */
#define SMALL_SECTORS_BYTES 0x20000u /* then sector 4: 128 KiB */
#define LARGE_SECTORS_OFFSET 0x40000u

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

static inline uint32_t sector_of(uint32_t address)
{
    const uint32_t offset = address - TB_FLASH_ORIGIN;
    if (offset < SMALL_SECTORS_BYTES) {
        return offset >> SMALL_SECTOR_SHIFT;
    }
    return offset < LARGE_SECTORS_OFFSET ? 4u : 4u + (offset >> LARGE_SECTOR_SHIFT);
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
    /* The accelerator may hold lines of the old contents: it is reset while it is off (RM0385 section 3.7.1). */
    const uint32_t acr = FLASH->acr;
    FLASH->acr = acr & ~ACR_ARTEN;
    FLASH->acr = (acr & ~ACR_ARTEN) | ACR_ARTRST;
    FLASH->acr = acr & ~ACR_ARTRST;
    return FLASH_OK;
}

int EraseSector(uint32_t address)
{
    FLASH->cr = CR_SER | CR_PSIZE_32 | (sector_of(address) << CR_SNB_SHIFT);
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

    FLASH->cr = CR_PG | CR_PSIZE_32;
    for (uint32_t words = (size + 3u) / 4u; words > 0u && result == FLASH_OK; words--) {
        *to++ = *from++;
        result = settle();
    }
    FLASH->cr = 0u;
    return result;
}
