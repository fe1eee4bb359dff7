#pragma once

#include <cstdint>

namespace tflite {

enum BuiltinOperator { BuiltinOperator_ADD = 0, BuiltinOperator_MUL = 18, BuiltinOperator_DIV = 42, BuiltinOperator_ABS = 101 };

// What the tests call a model, as it lies in flash.
struct Model {
    uint32_t used_bytes;      // what its tensors take in the arena
    uint32_t planning_bytes;  // what laying them out takes for a while
    uint32_t operator_count;
    uint32_t operators[16];   // values of BuiltinOperator
};

inline const Model *GetModel(const void *data) { return static_cast<const Model *>(data); }

}  // namespace tflite
