// cpp/xla_abi.hpp against the header that jaxlib ships: compiled by tests/native/test_xla.py, and never run.
#include "xla/ffi/api/c_api.h"

#include "xla_abi.hpp"

#define SAME(ours, our_field, theirs, their_field)                                           \
    static_assert(offsetof(tconv::xla::ours, our_field) == offsetof(theirs, their_field));   \
    static_assert(sizeof(tconv::xla::ours::our_field) == sizeof(theirs::their_field))
#define SAME_VALUE(ours, theirs) static_assert(static_cast<int>(tconv::xla::ours) == static_cast<int>(theirs))

SAME(Extension, size, XLA_FFI_Extension_Base, struct_size);
SAME(Extension, type, XLA_FFI_Extension_Base, type);
SAME(Extension, next, XLA_FFI_Extension_Base, next);
SAME_VALUE(asks_for_metadata, XLA_FFI_Extension_Metadata);
SAME(Version, major, XLA_FFI_Api_Version, major_version);
SAME(Version, minor, XLA_FFI_Api_Version, minor_version);
SAME(Metadata, version, XLA_FFI_Metadata, api_version);
SAME(Metadata, traits, XLA_FFI_Metadata, traits);
SAME(MetadataExtension, metadata, XLA_FFI_Metadata_Extension, metadata);
SAME_VALUE(invalid_argument, XLA_FFI_Error_Code_INVALID_ARGUMENT);
SAME_VALUE(resource_exhausted, XLA_FFI_Error_Code_RESOURCE_EXHAUSTED);
SAME_VALUE(internal, XLA_FFI_Error_Code_INTERNAL);
SAME(CreateError, message, XLA_FFI_Error_Create_Args, message);
SAME(CreateError, code, XLA_FFI_Error_Create_Args, errc);
SAME(DestroyError, error, XLA_FFI_Error_Destroy_Args, error);
SAME(Schedule, context, XLA_FFI_ThreadPool_Schedule_Args, ctx);
SAME(Schedule, task, XLA_FFI_ThreadPool_Schedule_Args, task);
SAME(Schedule, data, XLA_FFI_ThreadPool_Schedule_Args, data);
SAME(CountThreads, context, XLA_FFI_ThreadPool_NumThreads_Args, ctx);
SAME(CountThreads, threads, XLA_FFI_ThreadPool_NumThreads_Args, num_threads);
SAME(Api, version, XLA_FFI_Api, api_version);
SAME(Api, create_error, XLA_FFI_Api, XLA_FFI_Error_Create);
SAME(Api, destroy_error, XLA_FFI_Api, XLA_FFI_Error_Destroy);
SAME(Api, schedule, XLA_FFI_Api, XLA_FFI_ThreadPool_Schedule);
SAME(Api, count_threads, XLA_FFI_Api, XLA_FFI_ThreadPool_NumThreads);
SAME_VALUE(s64, XLA_FFI_DataType_S64);
SAME_VALUE(f16, XLA_FFI_DataType_F16);
SAME_VALUE(f32, XLA_FFI_DataType_F32);
SAME_VALUE(f64, XLA_FFI_DataType_F64);
SAME_VALUE(bf16, XLA_FFI_DataType_BF16);
SAME(Buffer, type, XLA_FFI_Buffer, dtype);
SAME(Buffer, data, XLA_FFI_Buffer, data);
SAME(Buffer, rank, XLA_FFI_Buffer, rank);
SAME(Buffer, shape, XLA_FFI_Buffer, dims);
SAME_VALUE(is_buffer, XLA_FFI_ArgType_BUFFER);
SAME_VALUE(is_buffer, XLA_FFI_RetType_BUFFER);
SAME_VALUE(is_array, XLA_FFI_AttrType_ARRAY);
SAME_VALUE(is_text, XLA_FFI_AttrType_STRING);
SAME(Values, count, XLA_FFI_Args, size);
SAME(Values, types, XLA_FFI_Args, types);
SAME(Values, values, XLA_FFI_Args, args);
SAME(Values, count, XLA_FFI_Rets, size);
SAME(Values, values, XLA_FFI_Rets, rets);
SAME(Text, begin, XLA_FFI_ByteSpan, ptr);
SAME(Text, size, XLA_FFI_ByteSpan, len);
SAME(Array, type, XLA_FFI_Array, dtype);
SAME(Array, count, XLA_FFI_Array, size);
SAME(Array, data, XLA_FFI_Array, data);
SAME(Attributes, count, XLA_FFI_Attrs, size);
SAME(Attributes, types, XLA_FFI_Attrs, types);
SAME(Attributes, names, XLA_FFI_Attrs, names);
SAME(Attributes, values, XLA_FFI_Attrs, attrs);
SAME_VALUE(execute, XLA_FFI_ExecutionStage_EXECUTE);
SAME(Call, api, XLA_FFI_CallFrame, api);
SAME(Call, context, XLA_FFI_CallFrame, ctx);
SAME(Call, stage, XLA_FFI_CallFrame, stage);
SAME(Call, arguments, XLA_FFI_CallFrame, args);
SAME(Call, results, XLA_FFI_CallFrame, rets);
SAME(Call, attributes, XLA_FFI_CallFrame, attrs);
