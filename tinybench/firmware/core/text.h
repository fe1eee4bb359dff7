/* Lines of text, put together without printf and sent one at a time. */
#ifndef TB_TEXT_H
#define TB_TEXT_H

#include <stdint.h>

#include "tb_status.h"

/* Each appends to the line; a line longer than the buffer leaves in pieces. */
void tb_put(const char *text);
void tb_put_character(char character);

/* What came from the other end, `?` for what is not printable: noise must not come back as control characters. */
void tb_put_printable(const char *text);

void tb_put_unsigned(uint32_t value);
void tb_put_signed(int32_t value);

/* The last `digits` hexadecimal digits of the value, in lower case. */
void tb_put_hex(uint32_t value, uint32_t digits);

/* As printf's %0.3f writes it, for every float: exact, halves to even, `inf` and `nan` included. */
void tb_put_thousandths(float value);

/* Ends the line with CR LF, or as the text says that was put, and sends what is left of it. */
void tb_end_line(void);
void tb_flush(void);

/* Forgets a line that was begun; ends it if part of it has left already. For the fault report. */
void tb_abandon_line(void);

/* One whole line. */
void tb_say(const char *line);

/* `e-[<text of the status>]`. */
void tb_say_error(tb_status status);

#endif
