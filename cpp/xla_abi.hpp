// What a function that XLA calls sees of XLA: its foreign function interface, version 0.1 and later, as plain structs. XLA
// publishes it as a C header that adds fields only at the ends of structs (xla/ffi/api/c_api.h, which jaxlib ships); written
// down here, it lets the core be built where there is no JAX. tests/native/cpp/xla_layout.cpp compares the two.
#pragma once
#include <cstddef>
#include <cstdint>

namespace tconv::xla {

struct Context;
struct Error;

struct Extension {
    std::size_t size;
    int type;
    Extension* next;
};

constexpr int asks_for_metadata = 1;  // type of an extension

struct Version {
    std::size_t size;
    Extension* extension;
    int major, minor;
};

struct Metadata {
    std::size_t size;
    Version version;
    std::uint32_t traits;
};

struct MetadataExtension {
    Extension base;
    Metadata* metadata;
};

constexpr int invalid_argument = 3, resource_exhausted = 8, internal = 13;  // codes of errors

struct CreateError {
    std::size_t size;
    Extension* extension;
    const char* message;
    int code;
};

struct DestroyError {
    std::size_t size;
    Extension* extension;
    Error* error;
};

struct Schedule {
    std::size_t size;
    Extension* extension;
    Context* context;
    void (*task)(void*);
    void* data;
};

struct CountThreads {
    std::size_t size;
    Extension* extension;
    Context* context;
    std::int64_t* threads;
};

struct Api {
    std::size_t size;
    Extension* extension;
    Version version;
    const void* own;
    Error* (*create_error)(CreateError*);
    void (*get_message)();
    void (*destroy_error)(DestroyError*);
    void (*others[8])();
    Error* (*schedule)(Schedule*);
    Error* (*count_threads)(CountThreads*);
};

enum Type : int { s64 = 5, f16 = 10, f32 = 11, f64 = 12, bf16 = 16 };

struct Buffer {
    std::size_t size;
    Extension* extension;
    int type;
    void* data;
    std::int64_t rank;
    std::int64_t* shape;
};

constexpr int is_buffer = 1;  // type of an argument or a result
constexpr int is_array = 1, is_text = 4;  // types of attributes

struct Values {
    std::size_t size;
    Extension* extension;
    std::int64_t count;
    int* types;
    void** values;
};

struct Text {
    const char* begin;
    std::size_t size;
};

struct Array {
    int type;
    std::size_t count;
    void* data;
};

struct Attributes {
    std::size_t size;
    Extension* extension;
    std::int64_t count;
    int* types;
    Text** names;
    void** values;
};

constexpr int execute = 3;  // stage

struct Call {
    std::size_t size;
    Extension* extension;
    const Api* api;
    Context* context;
    int stage;
    Values arguments, results;
    Attributes attributes;
};

}  // namespace tconv::xla
