/* What TensorFlow Lite Micro's library would otherwise take from the C and C++ libraries, with a heap, printf
 * and files in tow. Its messages go nowhere, as nothing may be printed while the clock runs; where it gives
 * up, it faults, and the host says in which function. */
#include <stddef.h>

void DebugLog(void);
int DebugVsnprintf(char *buffer);
_Noreturn void abort(void);
_Noreturn void __assert_func(void);
_Noreturn void __cxa_pure_virtual(void);

/* Called with a format and its arguments, or in older releases with a text: neither is looked at. */
void DebugLog(void) {
}

int DebugVsnprintf(char *buffer) {
    buffer[0] = '\0';
    return 0;
}

void abort(void) {
    __builtin_trap();
}

void __assert_func(void) {
    __builtin_trap();
}

void __cxa_pure_virtual(void) {
    __builtin_trap();
}
