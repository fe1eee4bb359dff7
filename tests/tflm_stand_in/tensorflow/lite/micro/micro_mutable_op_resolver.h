#pragma once

#include "tensorflow/lite/micro/micro_op_resolver.h"

namespace tflite {

TFLMRegistration Register_ABS();
TFLMRegistration Register_ADD();
TFLMRegistration Register_DIV();
TFLMRegistration Register_MUL();

template <unsigned int tOpCount>
class MicroMutableOpResolver : public MicroOpResolver {
   public:
    const TFLMRegistration *FindOp(BuiltinOperator op) const override {
        for (unsigned int i = 0; i < count_; i++) {
            if (registrations_[i].builtin_code == op) {
                return &registrations_[i];
            }
        }
        return nullptr;
    }

    const TFLMRegistration *FindOp(const char *) const override { return nullptr; }

    TfLiteStatus AddAbs(const TFLMRegistration &registration = Register_ABS()) {
        return AddBuiltin(BuiltinOperator_ABS, registration);
    }

    TfLiteStatus AddAdd(const TFLMRegistration &registration = Register_ADD()) {
        return AddBuiltin(BuiltinOperator_ADD, registration);
    }

    TfLiteStatus AddCircularBuffer() { return kTfLiteError; }

    TfLiteStatus AddDiv() { return AddBuiltin(BuiltinOperator_DIV, Register_DIV()); }

    TfLiteStatus AddMul(const TFLMRegistration &registration =
                            Register_MUL()) {
        return AddBuiltin(
            BuiltinOperator_MUL, registration);
    }

    TF_LITE_REMOVE_VIRTUAL_DELETE

   private:
    TfLiteStatus AddBuiltin(BuiltinOperator op, const TFLMRegistration &registration) {
        if (count_ == tOpCount || FindOp(op) != nullptr) {
            return kTfLiteError;
        }
        registrations_[count_] = registration;
        registrations_[count_++].builtin_code = op;
        return kTfLiteOk;
    }

    TFLMRegistration registrations_[tOpCount];
    unsigned int count_ = 0;
};

}  // namespace tflite
