/* Registers that every Cortex-M has at the same address: Armv7-M Architecture Reference Manual (DDI 0403E),
 * B3.2 (SCB), C1.6 (DCB), C1.8 (DWT); the names are those of CMSIS (core_cm7.h). */
#ifndef TB_CORE_REGISTERS_H
#define TB_CORE_REGISTERS_H

#define TB_SCB_VTOR 0xE000ED08U
#define TB_SCB_CCR 0xE000ED14U
#define TB_SCB_CFSR 0xE000ED28U
#define TB_SCB_HFSR 0xE000ED2CU
#define TB_SCB_MMFAR 0xE000ED34U
#define TB_SCB_BFAR 0xE000ED38U
#define TB_SCB_CCSIDR 0xE000ED80U
#define TB_SCB_CSSELR 0xE000ED84U
#define TB_SCB_CPACR 0xE000ED88U
#define TB_SCB_ICIALLU 0xE000EF50U
#define TB_SCB_DCISW 0xE000EF60U

#define TB_SCB_CCR_DC (1U << 16)
#define TB_SCB_CCR_IC (1U << 17)
#define TB_SCB_CPACR_CP10_CP11_FULL (0xFU << 20)

#define TB_DCB_DEMCR 0xE000EDFCU
#define TB_DCB_DEMCR_TRCENA (1U << 24)

#define TB_DWT_CTRL 0xE0001000U
#define TB_DWT_CTRL_CYCCNTENA (1U << 0)
#define TB_DWT_CYCCNT 0xE0001004U
#define TB_DWT_LAR 0xE0001FB0U
#define TB_DWT_LAR_KEY 0xC5ACCE55U /* CoreSight lock access; Cortex-M7 wants it, the others ignore it */

/* Barriers: what was written has arrived, and what follows is fetched anew. */
#define TB_BARRIER() __asm volatile("dsb\n\tisb" ::: "memory")

#endif
