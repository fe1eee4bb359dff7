/* Elements that change place and keep their value. */
#include "tb_float32.h"
#include "tb_int16.h"
#include "tb_kernels.h"

#define NUMBER int8_t
#define NAMED(kernel) kernel
#include "tb_movement.h"
#undef NUMBER
#undef NAMED

#define NUMBER int16_t
#define NAMED(kernel) kernel##_16
#include "tb_movement.h"
#undef NUMBER
#undef NAMED

#define NUMBER float
#define NAMED(kernel) kernel##_f32
#include "tb_movement.h"
