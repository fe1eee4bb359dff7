/* The Cortex-M7's caches (Armv7-M Architecture Reference Manual B2.2, B4.8; Cortex-M7 TRM DDI 0489). */
#ifndef TB_CACHES_H
#define TB_CACHES_H

/* Invalidates both caches, whose contents are unknown after reset, and turns them on. */
void tb_caches_enable(void);

#endif
