/* Time spent in each operator of the last inference; in the instrumented image. */
#ifndef TB_OPERATORS_H
#define TB_OPERATORS_H

/* Says one `m-tb-layer-[<index> <name> <ticks>]` for each. */
void tb_operators_say(void);

#endif
