#include "dispatch.hpp"

#include "amx.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace tconv {
namespace {

#if defined(__x86_64__)
// Which __builtin_cpu_supports has no name for in older Clangs.
bool has_f16c() {
    unsigned a, b, c, d;
    return __builtin_cpu_supports("avx") && __get_cpuid(1, &a, &b, &c, &d) && (c >> 29 & 1);
}

// Products of bfloat16 pairs beside what the backend has for all else; and norms, which are rounded by an instruction that
// takes subnormal numbers as zeros: of a norm, that is nothing.
Backend with_pairs(Backend backend) {
    backend.name = "avx512bf16";
    backend.description = "512-bit vectors, AVX-512F; bfloat16 in pairs, AVX512_BF16";
    backend.pairs = &avx512bf16_pairs;
    backend.bf16.moments = avx512bf16_pairs.moments;
    backend.bf16.column_moments = avx512bf16_pairs.column_moments;
    backend.bf16.scale_run = avx512bf16_pairs.scale_run;
    backend.bf16.scale_rows = avx512bf16_pairs.scale_rows;
    return backend;
}

// The same, with tiles for the products.
Backend with_tiles(Backend backend) {
    backend.name = "amxbf16";
    backend.description = "512-bit vectors, AVX-512F; bfloat16 in tiles, AMX_BF16";
    backend.pairs = &amxbf16_pairs;
    return backend;
}
#endif

}  // namespace

const std::vector<Choice>& choices() {
    static const std::vector<Choice> list = [] {
        std::vector<Choice> all;
        const auto add = [&](const Backend& backend, bool supported) {
            all.push_back({backend.name, backend.description, &backend, supported});
        };
#if defined(__x86_64__)
        static const Backend avx512bf16_backend = with_pairs(avx512_backend), amxbf16_backend = with_tiles(avx512bf16_backend);
        const bool avx512 = __builtin_cpu_supports("avx512f");
        const bool small = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
        const bool pairs = avx512 && small && __builtin_cpu_supports("avx512bf16");
        add(amxbf16_backend, pairs && amx_agrees());
        add(avx512bf16_backend, pairs);
        add(avx512_backend, avx512);
        add(avx2_backend, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && has_f16c());
#endif
        add(portable_backend, true);
        all.push_back({"reference", "plain loops in double precision", nullptr, true});
        return all;
    }();
    return list;
}

const Choice* choose(const std::string& name) {
    for (const Choice& choice : choices())
        if (choice.supported && (name.empty() || name == choice.name)) return &choice;
    return nullptr;
}

std::vector<std::string> cpu_features() {
    std::vector<std::string> found;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) found.emplace_back("sse4.2");
    if (__builtin_cpu_supports("avx")) found.emplace_back("avx");
    if (__builtin_cpu_supports("avx2")) found.emplace_back("avx2");
    if (__builtin_cpu_supports("fma")) found.emplace_back("fma");
    if (has_f16c()) found.emplace_back("f16c");
    if (__builtin_cpu_supports("avx512f")) found.emplace_back("avx512f");
    if (__builtin_cpu_supports("avx512bf16")) found.emplace_back("avx512bf16");
    if (has_amx_bf16()) found.emplace_back("amx-bf16");
#endif
    return found;
}

}  // namespace tconv
