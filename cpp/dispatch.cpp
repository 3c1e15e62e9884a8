#include "dispatch.hpp"

namespace tconv {

const std::vector<Choice>& choices() {
    static const std::vector<Choice> list = [] {
        std::vector<Choice> all;
        const auto add = [&](const Backend& backend, bool supported) {
            all.push_back({backend.name, backend.description, &backend, supported});
        };
#if defined(__x86_64__)
        add(avx512_backend, __builtin_cpu_supports("avx512f"));
        add(avx2_backend, __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"));
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
    if (__builtin_cpu_supports("avx512f")) found.emplace_back("avx512f");
    if (__builtin_cpu_supports("avx512bf16")) found.emplace_back("avx512bf16");
#endif
    return found;
}

}  // namespace tconv
