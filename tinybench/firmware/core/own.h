/* What `tb baud` leaves to be done after its `m-ready`. */
#ifndef TB_OWN_H
#define TB_OWN_H

#include <stdbool.h>

/* Changes the line's speed if that was asked for. */
void tb_baud_change(void);

/* The other end was understood: the new speed stays. */
void tb_baud_confirm(void);

/* Goes back to the old speed if nobody confirmed the new one in time; true if it did. */
bool tb_baud_lapsed(void);

/* Receives the bytes that `tb bin` announced, if it did; true if it did, and has said how that went. */
bool tb_bin_receive(void);

#endif
