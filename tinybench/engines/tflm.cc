// TensorFlow Lite Micro behind tb_engine.h: its interpreter, its kernels, and the arena it really needs.
//
// What is generated for one model is tb_tflm_model.h (the operators, in order and by kind) and the model's
// bytes; this file is the same for all. Nothing here allocates: every object has its place below.
#include <cstddef>
#include <cstdint>
#include <new>

#include "tb_engine.h"
#include "tb_tflm_model.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

extern "C" const unsigned char tb_tflm_model[];

namespace {

constexpr tflite::BuiltinOperator kinds[] = {
#define KIND(builtin, add) tflite::BuiltinOperator_##builtin,
    TB_TFLM_KINDS(KIND)
#undef KIND
};
constexpr uint32_t kind_count = sizeof kinds / sizeof kinds[0];

using Invoke = TfLiteStatus (*)(TfLiteContext *, TfLiteNode *);

// The kernels' own functions, and the registrations that call them through an operator's function instead.
Invoke kernels[kind_count];
TFLMRegistration registrations[kind_count];

uint32_t next_operator;

}  // namespace

// One function for each operator of the model, so that its cost can be told from the others'.
extern "C" {
#define OPERATOR(symbol, kind, name)                                                           \
    __attribute__((noinline)) TfLiteStatus tb_op_##symbol(TfLiteContext *context, TfLiteNode *node) { \
        return kernels[kind](context, node);                                                   \
    }
TB_TFLM_OPERATORS(OPERATOR)
#undef OPERATOR
}

namespace {

constexpr Invoke operators[] = {
#define OPERATOR(symbol, kind, name) tb_op_##symbol,
    TB_TFLM_OPERATORS(OPERATOR)
#undef OPERATOR
};
constexpr uint32_t operator_count = sizeof operators / sizeof operators[0];

// The interpreter runs the operators of a graph without branches in their order.
TfLiteStatus invoke_next(TfLiteContext *context, TfLiteNode *node) {
    const uint32_t index = next_operator++;
    TfLiteStatus status = kTfLiteError;
    if (index < operator_count) {
        TB_OPERATOR(index, status = operators[index](context, node));
    }
    return status;
}

// Upstream's resolver with exactly the model's operators; what it finds is called through `invoke_next`.
class Resolver final : public tflite::MicroMutableOpResolver<kind_count> {
   public:
    using Parent = tflite::MicroMutableOpResolver<kind_count>;

    const TFLMRegistration *FindOp(tflite::BuiltinOperator wanted) const override {
        const TFLMRegistration *found = Parent::FindOp(wanted);
        for (uint32_t kind = 0; found != nullptr && kind < kind_count; kind++) {
            if (kinds[kind] == wanted) {
                kernels[kind] = found->invoke;
                registrations[kind] = *found;
                registrations[kind].invoke = invoke_next;
                return &registrations[kind];
            }
        }
        return nullptr;
    }

    const TFLMRegistration *FindOp(const char *custom) const override { return Parent::FindOp(custom); }

    TF_LITE_REMOVE_VIRTUAL_DELETE
};

// Objects with a place but no static constructor or destructor, which would ask for atexit.
template <class T>
struct Place {
    alignas(T) unsigned char bytes[sizeof(T)];
    T *object;

    template <class... Arguments>
    T &make(Arguments &&...arguments) {
        object = new (bytes) T(static_cast<Arguments &&>(arguments)...);
        return *object;
    }
};

Place<Resolver> resolver;
Place<tflite::MicroInterpreter> interpreter;

__attribute__((section(".tb_arena"))) alignas(16) uint8_t arena[TB_TFLM_ARENA_BYTES];
uint32_t arena_bytes;

bool resolve() {
    Resolver &made = resolver.make();
    bool added = true;
#define KIND(builtin, add) added = made.add() == kTfLiteOk && added;
    TB_TFLM_KINDS(KIND)
#undef KIND
    return added;
}

// A new interpreter in an arena of this size; false if the model cannot be laid out in it.
bool allocate(uint32_t bytes) {
    if (interpreter.object != nullptr) {
        interpreter.object->~MicroInterpreter();
    }
    arena_bytes = bytes;
    return interpreter.make(tflite::GetModel(tb_tflm_model), *resolver.object, arena, bytes).AllocateTensors() ==
           kTfLiteOk;
}

// The smallest arena to the byte: what the interpreter says it uses, or, where planning the layout needs more
// for a while than the layout itself, the least that it accepts.
bool allocate_least() {
    if (!allocate(sizeof arena)) {
        return false;
    }
    uint32_t enough = sizeof arena;
    uint32_t attempt = static_cast<uint32_t>(interpreter.object->arena_used_bytes());
    uint32_t too_few = attempt > 0 ? attempt - 1U : 0U;
    while (too_few + 1U < enough) {
        if (allocate(attempt)) {
            enough = attempt;
        } else {
            too_few = attempt;
        }
        attempt = too_few + (enough - too_few) / 2U;
    }
    return arena_bytes == enough || allocate(enough);
}

tb_tensor described(const TfLiteTensor *tensor) {
    tb_tensor made = {};
    made.data = tensor->data.data;
    made.bytes = static_cast<uint32_t>(tensor->bytes);
    made.scale = tensor->params.scale;
    made.zero_point = tensor->params.zero_point;
    made.type = tensor->type == kTfLiteInt8 ? tb_tensor::TB_INT8
                : tensor->type == kTfLiteInt16 ? tb_tensor::TB_INT16
                                               : tb_tensor::TB_FLOAT32;
    return made;
}

}  // namespace

extern "C" {

const char *tb_engine_name(void) {
    return TB_TFLM_NAME;
}

const char *tb_engine_version(void) {
    return TB_TFLM_VERSION;
}

tb_status tb_engine_init(void) {
    if (!resolve()) {
        return TB_ERR_OPERATOR;
    }
    return allocate_least() ? TB_OK : TB_ERR_ARENA;
}

tb_tensor tb_engine_input(void) {
    return described(interpreter.object->input(0));
}

tb_tensor tb_engine_output(void) {
    return described(interpreter.object->output(0));
}

tb_status tb_engine_invoke(void) {
    next_operator = 0;
    return interpreter.object->Invoke() == kTfLiteOk ? TB_OK : TB_ERR_OPERATOR;
}

uint32_t tb_engine_arena_used(void) {
    return static_cast<uint32_t>(interpreter.object->arena_used_bytes());
}

uint32_t tb_engine_arena_reserved(void) {
    return arena_bytes;
}

uint32_t tb_engine_operator_count(void) {
    return operator_count;
}

const char *tb_engine_operator_name(uint32_t index) {
    static const char *const names[] = {
#define OPERATOR(symbol, kind, name) name,
        TB_TFLM_OPERATORS(OPERATOR)
#undef OPERATOR
    };
    return index < operator_count ? names[index] : "-";
}

}  // extern "C"
