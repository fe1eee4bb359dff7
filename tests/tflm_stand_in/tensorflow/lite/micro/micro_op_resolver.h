#pragma once

#include <cstddef>
#include <cstdint>

#include "tensorflow/lite/schema/schema_generated.h"

enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
enum TfLiteType { kTfLiteNoType = 0, kTfLiteFloat32 = 1, kTfLiteInt16 = 7, kTfLiteInt8 = 9 };

union TfLitePtrUnion {
    int8_t *int8;
    void *data;
};
struct TfLiteQuantizationParams {
    float scale;
    int32_t zero_point;
};
struct TfLiteTensor {
    TfLiteType type;
    TfLitePtrUnion data;
    TfLiteQuantizationParams params;
    size_t bytes;
};
struct TfLiteContext {
    TfLiteTensor *tensor;
};
struct TfLiteNode {};

struct TFLMRegistration {
    TfLiteStatus (*prepare)(TfLiteContext *, TfLiteNode *);
    TfLiteStatus (*invoke)(TfLiteContext *, TfLiteNode *);
    int32_t builtin_code;
};

#define TF_LITE_REMOVE_VIRTUAL_DELETE \
    void operator delete(void *) {}

namespace tflite {

class MicroOpResolver {
   public:
    virtual const TFLMRegistration *FindOp(BuiltinOperator op) const = 0;
    virtual const TFLMRegistration *FindOp(const char *op) const = 0;
    virtual ~MicroOpResolver() {}

    TF_LITE_REMOVE_VIRTUAL_DELETE
};

}  // namespace tflite
