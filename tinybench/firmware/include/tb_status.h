/* Every status code with the text the host sees: one list, so that codes and texts cannot drift apart. */
#ifndef TB_STATUS_H
#define TB_STATUS_H

#define TB_STATUS_LIST(X)                                        \
    X(TB_OK, "ok")                                               \
    X(TB_ERR_ARENA, "Arena too small")                           \
    X(TB_ERR_INPUT_SIZE, "Input size does not match the tensor") \
    X(TB_ERR_OPERATOR, "Operator failed")                        \
    X(TB_ERR_NO_OUTPUT, "No inference yet")                      \
    X(TB_ERR_NO_LOAD, "No load in progress")                     \
    X(TB_ERR_LOAD_SIZE, "Load does not fit the buffer")          \
    X(TB_ERR_SILENCE, "Data stopped")                            \
    X(TB_ERR_CRC, "CRC mismatch")                                \
    X(TB_ERR_CLOCK, "Clock stands still")                        \
    X(TB_ERR_BAUD, "Baud rate not possible")                     \
    X(TB_ERR_COUNT, "Number of inferences out of range")         \
    X(TB_ERR_CLEAN_IMAGE, "Not in the clean image")

typedef enum {
#define TB_STATUS_CODE(code, text) code,
    TB_STATUS_LIST(TB_STATUS_CODE)
#undef TB_STATUS_CODE
    TB_STATUS_COUNT
} tb_status;

const char *tb_status_text(tb_status status);

#endif
