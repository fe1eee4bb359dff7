/* The second stage of the RP2040's boot, for any flash that knows the serial read command 03h. The ROM copies the
 * first 256 bytes of flash to SRAM, checks them by the CRC-32 in the last four, and runs them (RP2040 data sheet
 * 2.8.1.3.1). They set the SSI so that flash can be executed in place, and start from the table that follows.
 *
 * Offsets and fields: hardware/regs/ssi.h of the Pico SDK; addresses: addressmap.h (XIP_SSI_BASE, XIP_BASE).
 * 31.25 MHz (125 / 4): 03h goes to 50 MHz on a W25Q16JV (its data sheet, AC electrical characteristics, f_R).
 * Armv6-M instructions only; the place in memory does not matter. */
__asm(
    ".syntax unified\n"
    ".cpu cortex-m0plus\n"
    ".thumb\n"
    ".section .boot, \"ax\"\n"
    ".balign 4\n"
    "0:\n"
    "  ldr r3, 1f\n"          /* XIP_SSI_BASE */
    "  movs r0, #0\n"
    "  str r0, [r3, #0x08]\n" /* SSIENR: off, to be set */
    "  movs r0, #4\n"
    "  str r0, [r3, #0x14]\n" /* BAUDR */
    "  ldr r0, 2f\n"
    "  str r0, [r3, #0x00]\n" /* CTRLR0 */
    "  ldr r0, 3f\n"
    "  ldr r1, 4f\n"
    "  str r0, [r1]\n"        /* SPI_CTRLR0 */
    "  movs r0, #0\n"
    "  str r0, [r3, #0x04]\n" /* CTRLR1: one frame at a time */
    "  movs r0, #1\n"
    "  str r0, [r3, #0x10]\n" /* SER: chip select */
    "  str r0, [r3, #0x08]\n" /* SSIENR: on */
    "  ldr r0, 5f\n"          /* our vector table */
    "  ldr r1, 6f\n"          /* VTOR */
    "  str r0, [r1]\n"
    "  ldr r1, [r0, #4]\n"
    "  ldr r0, [r0]\n"
    "  msr msp, r0\n"
    "  bx r1\n"
    ".balign 4\n"
    "1: .word 0x18000000\n"
    "2: .word 0x001F0300\n" /* DFS_32: 32 bits; TMOD 3: command, address, then data; SPI_FRF 0: one wire */
    "3: .word 0x03000218\n" /* XIP_CMD 03h; INST_L 2: 8 bits; ADDR_L 6: 24 bits; TRANS_TYPE 0: one wire */
    "4: .word 0x180000F4\n"
    "5: .word 0x10000100\n"
    "6: .word 0xE000ED08\n"
    ".space 252 - (. - 0b)\n"
    ".word 0xEF109E6D\n" /* CRC-32 (MPEG-2) of all before; a test computes it */
    ".text\n");

/* An object must define something (ISO C). */
typedef int tb_boot2;
