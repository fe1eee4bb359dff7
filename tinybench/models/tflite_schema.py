"""The parts of the .tflite schema that are tables of facts: operators, their options, field by field.

Source: tflite-micro, tensorflow/compiler/mlir/lite/schema/schema.fbs (numbers and names are the format).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from tinybench.model import ELEMENT_BITS, Option

FILE_IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3

TENSOR_TYPES: tuple[str, ...] = tuple(ELEMENT_BITS)  # enum TensorType counts in the same order

# enum BuiltinOperator, in its order.
BUILTIN_OPERATORS: tuple[str, ...] = tuple(
    """
    ADD AVERAGE_POOL_2D CONCATENATION CONV_2D DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE EMBEDDING_LOOKUP
    FLOOR FULLY_CONNECTED HASHTABLE_LOOKUP L2_NORMALIZATION L2_POOL_2D LOCAL_RESPONSE_NORMALIZATION LOGISTIC
    LSH_PROJECTION LSTM MAX_POOL_2D MUL RELU RELU_N1_TO_1 RELU6 RESHAPE RESIZE_BILINEAR RNN SOFTMAX
    SPACE_TO_DEPTH SVDF TANH CONCAT_EMBEDDINGS SKIP_GRAM CALL CUSTOM EMBEDDING_LOOKUP_SPARSE PAD
    UNIDIRECTIONAL_SEQUENCE_RNN GATHER BATCH_TO_SPACE_ND SPACE_TO_BATCH_ND TRANSPOSE MEAN SUB DIV SQUEEZE
    UNIDIRECTIONAL_SEQUENCE_LSTM STRIDED_SLICE BIDIRECTIONAL_SEQUENCE_RNN EXP TOPK_V2 SPLIT LOG_SOFTMAX
    DELEGATE BIDIRECTIONAL_SEQUENCE_LSTM CAST PRELU MAXIMUM ARG_MAX MINIMUM LESS NEG PADV2 GREATER
    GREATER_EQUAL LESS_EQUAL SELECT SLICE SIN TRANSPOSE_CONV SPARSE_TO_DENSE TILE EXPAND_DIMS EQUAL NOT_EQUAL
    LOG SUM SQRT RSQRT SHAPE POW ARG_MIN FAKE_QUANT REDUCE_PROD REDUCE_MAX PACK LOGICAL_OR ONE_HOT
    LOGICAL_AND LOGICAL_NOT UNPACK REDUCE_MIN FLOOR_DIV REDUCE_ANY SQUARE ZEROS_LIKE FILL FLOOR_MOD RANGE
    RESIZE_NEAREST_NEIGHBOR LEAKY_RELU SQUARED_DIFFERENCE MIRROR_PAD ABS SPLIT_V UNIQUE CEIL REVERSE_V2 ADD_N
    GATHER_ND COS WHERE RANK ELU REVERSE_SEQUENCE MATRIX_DIAG QUANTIZE MATRIX_SET_DIAG ROUND HARD_SWISH IF
    WHILE NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 SCATTER_ND SELECT_V2 DENSIFY SEGMENT_SUM BATCH_MATMUL
    PLACEHOLDER_FOR_GREATER_OP_CODES CUMSUM CALL_ONCE BROADCAST_TO RFFT2D CONV_3D IMAG REAL COMPLEX_ABS
    HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT HASHTABLE_SIZE REDUCE_ALL CONV_3D_TRANSPOSE VAR_HANDLE
    READ_VARIABLE ASSIGN_VARIABLE BROADCAST_ARGS RANDOM_STANDARD_NORMAL BUCKETIZE RANDOM_UNIFORM MULTINOMIAL
    GELU DYNAMIC_UPDATE_SLICE RELU_0_TO_1 UNSORTED_SEGMENT_PROD UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_SUM
    ATAN2 UNSORTED_SEGMENT_MIN SIGN BITCAST BITWISE_XOR RIGHT_SHIFT STABLEHLO_LOGISTIC STABLEHLO_ADD
    STABLEHLO_DIVIDE STABLEHLO_MULTIPLY STABLEHLO_MAXIMUM STABLEHLO_RESHAPE STABLEHLO_CLAMP
    STABLEHLO_CONCATENATE STABLEHLO_BROADCAST_IN_DIM STABLEHLO_CONVOLUTION STABLEHLO_SLICE
    STABLEHLO_CUSTOM_CALL STABLEHLO_REDUCE STABLEHLO_ABS STABLEHLO_AND STABLEHLO_COSINE STABLEHLO_EXPONENTIAL
    STABLEHLO_FLOOR STABLEHLO_LOG STABLEHLO_MINIMUM STABLEHLO_NEGATE STABLEHLO_OR STABLEHLO_POWER
    STABLEHLO_REMAINDER STABLEHLO_RSQRT STABLEHLO_SELECT STABLEHLO_SUBTRACT STABLEHLO_TANH STABLEHLO_SCATTER
    STABLEHLO_COMPARE STABLEHLO_CONVERT STABLEHLO_DYNAMIC_SLICE STABLEHLO_DYNAMIC_UPDATE_SLICE STABLEHLO_PAD
    STABLEHLO_IOTA STABLEHLO_DOT_GENERAL STABLEHLO_REDUCE_WINDOW STABLEHLO_SORT STABLEHLO_WHILE
    STABLEHLO_GATHER STABLEHLO_TRANSPOSE DILATE STABLEHLO_RNG_BIT_GENERATOR REDUCE_WINDOW STABLEHLO_COMPOSITE
    STABLEHLO_SHIFT_LEFT STABLEHLO_CBRT STABLEHLO_CASE
    """.split()  # noqa: SIM905 - two hundred quotes would hide the names
)
CUSTOM = BUILTIN_OPERATORS.index("CUSTOM")
CUSTOM_PREFIX = "CUSTOM:"  # how a Model names a custom operator: this and its own name
# Codes above this one do not fit the old one-byte field of OperatorCode.
GREATEST_OLD_CODE = BUILTIN_OPERATORS.index("PLACEHOLDER_FOR_GREATER_OP_CODES")


@dataclass(frozen=True)
class Kind:
    """How an option is stored (a `struct` format character) and which values make sense."""

    code: str
    least: int | None = None
    most: int | None = None
    vector: bool = False


INT = Kind("i", least=-(2**31), most=2**31 - 1)
LONG = Kind("q", least=-(2**63), most=2**63 - 1)
COUNT = Kind("i", least=1, most=2**31 - 1)
BOOL = Kind("?")
FLOAT = Kind("f")
INTS = Kind("i", least=-(2**31), most=2**31 - 1, vector=True)
PADDING = Kind("b", least=0, most=1)
ACTIVATION = Kind("b", least=0, most=5)
DTYPE = Kind("b", least=0, most=len(TENSOR_TYPES) - 1)
TWO_WAYS = Kind("b", least=0, most=1)


@dataclass(frozen=True)
class Field:
    """One field of an options table: its id there, its name, how it is stored, its default."""

    id: int
    name: str
    kind: Kind
    default: int = 0

    @property
    def absent(self) -> Option:
        """What a Model holds where the file has nothing."""
        if self.kind.vector:
            return ()
        if self.kind.code == "?":
            return bool(self.default)
        return float(self.default) if self.kind.code == "f" else self.default


@dataclass(frozen=True)
class OptionsTable:
    """The options an operator takes: the member of union BuiltinOptions (0: none) and its fields."""

    union_member: int
    fields: tuple[Field, ...]


_Written = tuple[str, Kind] | tuple[str, Kind, int]


def _options(union_member: int, *fields: _Written, first_id: int = 0) -> OptionsTable:
    return OptionsTable(union_member, tuple(Field(first_id + i, *field) for i, field in enumerate(fields)))


_FUSED = ("fused_activation_function", ACTIVATION)
_STRIDES = (("stride_w", COUNT), ("stride_h", COUNT))
_DILATIONS = (("dilation_w_factor", COUNT, 1), ("dilation_h_factor", COUNT, 1))
_ASYMMETRIC = ("asymmetric_quantize_inputs", BOOL)
_BIAS_TYPE = ("quantized_bias_type", DTYPE)
_POT_SCALE = ("pot_scale_int16", BOOL, 1)
_CLIPS = (("cell_clip", FLOAT), ("proj_clip", FLOAT))
_RESIZE = (("align_corners", BOOL), ("half_pixel_centers", BOOL))
_POOL = _options(
    5, ("padding", PADDING), *_STRIDES, ("filter_width", COUNT), ("filter_height", COUNT), _FUSED
)
_REDUCER = _options(27, ("keep_dims", BOOL))
_RANDOM = _options(114, ("seed", LONG), ("seed2", LONG))
_CONV_3D = _options(
    106,
    ("padding", PADDING),
    ("stride_d", COUNT),
    *_STRIDES,
    _FUSED,
    ("dilation_d_factor", COUNT, 1),
    *_DILATIONS,
)

# Operators that are absent here are read by name, without options, and cannot be written.
OPTIONS: Mapping[str, OptionsTable] = MappingProxyType(
    {
        "CONV_2D": _options(1, ("padding", PADDING), *_STRIDES, _FUSED, *_DILATIONS, _BIAS_TYPE),
        "DEPTHWISE_CONV_2D": _options(
            2, ("padding", PADDING), *_STRIDES, ("depth_multiplier", INT), _FUSED, *_DILATIONS
        ),
        "AVERAGE_POOL_2D": _POOL,
        "MAX_POOL_2D": _POOL,
        "L2_POOL_2D": _POOL,
        "SVDF": _options(6, ("rank", COUNT), _FUSED, _ASYMMETRIC),
        "RNN": _options(7, _FUSED, _ASYMMETRIC),
        "FULLY_CONNECTED": _options(
            8, _FUSED, ("weights_format", TWO_WAYS), ("keep_num_dims", BOOL), _ASYMMETRIC, _BIAS_TYPE
        ),
        "SOFTMAX": _options(9, ("beta", FLOAT)),
        "CONCATENATION": _options(10, ("axis", INT), _FUSED),
        "ADD": _options(11, _FUSED, _POT_SCALE),
        "L2_NORMALIZATION": _options(12, _FUSED),
        "LOCAL_RESPONSE_NORMALIZATION": _options(
            13, ("radius", INT), ("bias", FLOAT), ("alpha", FLOAT), ("beta", FLOAT)
        ),
        "LSTM": _options(14, _FUSED, *_CLIPS, ("kernel_type", TWO_WAYS), _ASYMMETRIC),
        # Ids 0 and 1 are the deprecated size of the output.
        "RESIZE_BILINEAR": _options(15, *_RESIZE, first_id=2),
        "RESHAPE": _options(17, ("new_shape", INTS)),
        "SPACE_TO_DEPTH": _options(19, ("block_size", COUNT)),
        "MUL": _options(21, _FUSED),
        "PAD": _options(22),
        "GATHER": _options(23, ("axis", INT), ("batch_dims", INT)),
        "BATCH_TO_SPACE_ND": _options(24),
        "SPACE_TO_BATCH_ND": _options(25),
        "TRANSPOSE": _options(26),
        "MEAN": _REDUCER,
        "SUM": _REDUCER,
        "REDUCE_PROD": _REDUCER,
        "REDUCE_MAX": _REDUCER,
        "REDUCE_MIN": _REDUCER,
        "REDUCE_ANY": _REDUCER,
        "REDUCE_ALL": _REDUCER,
        "SUB": _options(28, _FUSED, _POT_SCALE),
        "DIV": _options(29, _FUSED),
        "SQUEEZE": _options(30, ("squeeze_dims", INTS)),
        "UNIDIRECTIONAL_SEQUENCE_RNN": _options(31, ("time_major", BOOL), _FUSED, _ASYMMETRIC),
        "STRIDED_SLICE": _options(
            32,
            ("begin_mask", INT),
            ("end_mask", INT),
            ("ellipsis_mask", INT),
            ("new_axis_mask", INT),
            ("shrink_axis_mask", INT),
            ("offset", BOOL),
        ),
        "EXP": _options(33),
        "TOPK_V2": _options(34),
        "SPLIT": _options(35, ("num_splits", COUNT)),
        "LOG_SOFTMAX": _options(36),
        "CAST": _options(37, ("in_data_type", DTYPE), ("out_data_type", DTYPE)),
        "DEQUANTIZE": _options(38),
        "MAXIMUM": _options(39),
        "MINIMUM": _options(39),
        "ARG_MAX": _options(40, ("output_type", DTYPE)),
        "LESS": _options(41),
        "NEG": _options(42),
        "PADV2": _options(43),
        "GREATER": _options(44),
        "GREATER_EQUAL": _options(45),
        "LESS_EQUAL": _options(46),
        "SELECT": _options(47),
        "SLICE": _options(48),
        "TRANSPOSE_CONV": _options(49, ("padding", PADDING), *_STRIDES, _FUSED, _BIAS_TYPE),
        "SPARSE_TO_DENSE": _options(50, ("validate_indices", BOOL)),
        "TILE": _options(51),
        "EXPAND_DIMS": _options(52),
        "EQUAL": _options(53),
        "NOT_EQUAL": _options(54),
        "SHAPE": _options(55, ("out_type", DTYPE)),
        "POW": _options(56),
        "ARG_MIN": _options(57, ("output_type", DTYPE)),
        "FAKE_QUANT": _options(58, ("min", FLOAT), ("max", FLOAT), ("num_bits", INT), ("narrow_range", BOOL)),
        "PACK": _options(59, ("values_count", COUNT), ("axis", INT)),
        "LOGICAL_OR": _options(60),
        "ONE_HOT": _options(61, ("axis", INT)),
        "LOGICAL_AND": _options(62),
        "LOGICAL_NOT": _options(63),
        "UNPACK": _options(64, ("num", COUNT), ("axis", INT)),
        "FLOOR_DIV": _options(65),
        "SQUARE": _options(66),
        "ZEROS_LIKE": _options(67),
        "FILL": _options(68),
        "BIDIRECTIONAL_SEQUENCE_LSTM": _options(
            69, _FUSED, *_CLIPS, ("merge_outputs", BOOL), ("time_major", BOOL, 1), _ASYMMETRIC
        ),
        "BIDIRECTIONAL_SEQUENCE_RNN": _options(
            70, ("time_major", BOOL), _FUSED, ("merge_outputs", BOOL), _ASYMMETRIC
        ),
        "UNIDIRECTIONAL_SEQUENCE_LSTM": _options(
            71, _FUSED, *_CLIPS, ("time_major", BOOL), _ASYMMETRIC, ("diagonal_recurrent_tensors", BOOL)
        ),
        "FLOOR_MOD": _options(72),
        "RANGE": _options(73),
        "RESIZE_NEAREST_NEIGHBOR": _options(74, *_RESIZE),
        "LEAKY_RELU": _options(75, ("alpha", FLOAT)),
        "SQUARED_DIFFERENCE": _options(76),
        "MIRROR_PAD": _options(77, ("mode", TWO_WAYS)),
        "ABS": _options(78),
        "SPLIT_V": _options(79, ("num_splits", COUNT)),
        "UNIQUE": _options(80, ("idx_out_type", DTYPE, TENSOR_TYPES.index("int32"))),
        "REVERSE_V2": _options(81),
        "ADD_N": _options(82),
        "GATHER_ND": _options(83),
        "COS": _options(84),
        "WHERE": _options(85),
        "RANK": _options(86),
        "REVERSE_SEQUENCE": _options(87, ("seq_dim", INT), ("batch_dim", INT)),
        "MATRIX_DIAG": _options(88),
        "QUANTIZE": _options(89),
        "MATRIX_SET_DIAG": _options(90),
        "HARD_SWISH": _options(91),
        "DEPTH_TO_SPACE": _options(94, ("block_size", COUNT)),
        "NON_MAX_SUPPRESSION_V4": _options(95),
        "NON_MAX_SUPPRESSION_V5": _options(96),
        "SCATTER_ND": _options(97),
        "SELECT_V2": _options(98),
        "DENSIFY": _options(99),
        "SEGMENT_SUM": _options(100),
        "BATCH_MATMUL": _options(101, ("adj_x", BOOL), ("adj_y", BOOL), _ASYMMETRIC),
        "CUMSUM": _options(102, ("exclusive", BOOL), ("reverse", BOOL)),
        "BROADCAST_TO": _options(104),
        "RFFT2D": _options(105),
        "CONV_3D": _CONV_3D,
        "CONV_3D_TRANSPOSE": _CONV_3D,
        "RANDOM_STANDARD_NORMAL": _RANDOM,
        "RANDOM_UNIFORM": _RANDOM,
        "MULTINOMIAL": _RANDOM,
        "GELU": _options(116, ("approximate", BOOL)),
        "DYNAMIC_UPDATE_SLICE": _options(117),
        "UNSORTED_SEGMENT_PROD": _options(118),
        "UNSORTED_SEGMENT_MAX": _options(119),
        "UNSORTED_SEGMENT_MIN": _options(120),
        "UNSORTED_SEGMENT_SUM": _options(121),
        "ATAN2": _options(122),
        "SIGN": _options(123),
        "BITCAST": _options(124),
        "BITWISE_XOR": _options(125),
        "RIGHT_SHIFT": _options(126),
        # No options in the schema.
        **dict.fromkeys(
            """
            BROADCAST_ARGS CEIL COMPLEX_ABS ELU EMBEDDING_LOOKUP FLOOR HASHTABLE_LOOKUP IMAG LOG LOGISTIC
            PRELU REAL RELU RELU6 RELU_0_TO_1 RELU_N1_TO_1 ROUND RSQRT SIN SQRT TANH
            """.split(),  # noqa: SIM905 - as above
            _options(0),
        ),
    }
)
