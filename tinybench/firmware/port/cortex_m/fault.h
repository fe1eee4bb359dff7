/* Every exception that we did not ask for ends here. */
#ifndef TB_FAULT_H
#define TB_FAULT_H

/* Vector of all exceptions: reports on the serial line and waits for reset. */
void tb_fault_entry(void);

#endif
