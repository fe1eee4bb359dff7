// See README.md. One tensor of four int8, input and output at once, at the start of the arena.
#include "tensorflow/lite/micro/micro_interpreter.h"

#include <cassert>
#include <cstdlib>
#include <cstring>

#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"

extern "C" void DebugLog(const char *format, __builtin_va_list arguments);

namespace {

void say(const char *format, ...) {
    __builtin_va_list arguments;
    __builtin_va_start(arguments, format);
    DebugLog(format, arguments);
    __builtin_va_end(arguments);
}

constexpr size_t elements = 4;

TfLiteStatus add(TfLiteContext *context, TfLiteNode *) {
    for (size_t i = 0; i < elements; i++) {
        context->tensor->data.int8[i] = static_cast<int8_t>(context->tensor->data.int8[i] + 1);
    }
    return kTfLiteOk;
}

TfLiteStatus mul(TfLiteContext *context, TfLiteNode *) {
    for (size_t i = 0; i < elements; i++) {
        context->tensor->data.int8[i] = static_cast<int8_t>(context->tensor->data.int8[i] * 2);
    }
    return kTfLiteOk;
}

TfLiteStatus fails(TfLiteContext *, TfLiteNode *) {
    return kTfLiteError;
}

TfLiteStatus gives_up(TfLiteContext *, TfLiteNode *) {
    std::abort();
}

TfLiteStatus prepare(TfLiteContext *, TfLiteNode *) {
    return kTfLiteOk;
}

}  // namespace

namespace tflite {

TFLMRegistration Register_ABS() { return {prepare, fails, 0}; }
TFLMRegistration Register_ADD() { return {prepare, add, 0}; }
TFLMRegistration Register_DIV() { return {prepare, gives_up, 0}; }
TFLMRegistration Register_MUL() { return {prepare, mul, 0}; }

MicroInterpreter::MicroInterpreter(const Model *model, const MicroOpResolver &resolver, uint8_t *arena,
                                   size_t arena_bytes)
    : model_(model), resolver_(resolver), arena_(arena), arena_bytes_(arena_bytes) {
}

MicroInterpreter::~MicroInterpreter() {
    std::memset(arena_, 0xEE, arena_bytes_);
}

TfLiteStatus MicroInterpreter::AllocateTensors() {
    assert(model_ != nullptr);
    const size_t needed =
        model_->used_bytes > model_->planning_bytes ? model_->used_bytes : model_->planning_bytes;
    if (needed > arena_bytes_) {
        say("%u bytes are too few", static_cast<unsigned>(arena_bytes_));
        return kTfLiteError;
    }
    for (uint32_t i = 0; i < model_->operator_count; i++) {
        found_[i] = resolver_.FindOp(static_cast<BuiltinOperator>(model_->operators[i]));
        if (found_[i] == nullptr || found_[i]->prepare(&context_, &node_) != kTfLiteOk) {
            return kTfLiteError;
        }
    }
    std::memset(arena_, 0, needed);
    tensor_ = {kTfLiteInt8, {reinterpret_cast<int8_t *>(arena_)}, {0.5f, -3}, elements};
    context_.tensor = &tensor_;
    return kTfLiteOk;
}

TfLiteStatus MicroInterpreter::Invoke() {
    for (uint32_t i = 0; i < model_->operator_count; i++) {
        if (found_[i]->invoke(&context_, &node_) != kTfLiteOk) {
            return kTfLiteError;
        }
    }
    return kTfLiteOk;
}

TfLiteTensor *MicroInterpreter::input(size_t) { return &tensor_; }
TfLiteTensor *MicroInterpreter::output(size_t) { return &tensor_; }
size_t MicroInterpreter::arena_used_bytes() const { return model_->used_bytes; }

}  // namespace tflite
