#pragma once

#include "tensorflow/lite/micro/micro_op_resolver.h"

namespace tflite {

class MicroInterpreter {
   public:
    MicroInterpreter(const Model *model, const MicroOpResolver &resolver, uint8_t *arena, size_t arena_bytes);
    ~MicroInterpreter();

    TfLiteStatus AllocateTensors();
    TfLiteStatus Invoke();
    TfLiteTensor *input(size_t index);
    TfLiteTensor *output(size_t index);
    size_t arena_used_bytes() const;

   private:
    const Model *model_;
    const MicroOpResolver &resolver_;
    uint8_t *arena_;
    size_t arena_bytes_;
    TfLiteTensor tensor_ = {};
    TfLiteContext context_ = {};
    TfLiteNode node_ = {};
    const TFLMRegistration *found_[16] = {};
};

}  // namespace tflite
