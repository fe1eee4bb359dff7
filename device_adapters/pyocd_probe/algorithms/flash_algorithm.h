/* The functions that a debugger calls in RAM to change flash; layout and calling convention as in the public
 * "Flash Programming Algorithms" chapter of the Open-CMSIS-Pack specification (FlashOS). Each returns 0 if it
 * succeeded. No data of its own, position independent: code alone is copied to the target. */
#ifndef FLASH_ALGORITHM_H
#define FLASH_ALGORITHM_H

#include <stdint.h>

#define FLASH_OK 0
#define FLASH_FAILED 1

int Init(uint32_t address, uint32_t clock_hz, uint32_t function);
int UnInit(uint32_t function);
int EraseSector(uint32_t address);
int ProgramPage(uint32_t address, uint32_t size, const uint8_t *data);

#endif
