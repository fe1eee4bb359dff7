/* What the model said, as the protocol wants to hear it. */
#ifndef TB_RESULTS_H
#define TB_RESULTS_H

#include "tb_status.h"

/* After inferences, outside of every window: if they went well there is something to say from now on. */
void tb_results_take(tb_status status);

/* Says `m-results-[v0,v1,…]` of the last inference: the output's real values, or for a model that reproduces
 * its input the mean of the squared errors, each as printf's %0.3f. `e-[No inference yet]` otherwise. */
void tb_results_say(void);

/* Says `m-tb-out-[…]`: the output tensor's bytes, exact; or the same error. */
void tb_results_say_bytes(void);

#endif
