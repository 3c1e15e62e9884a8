#include "xla.hpp"

#include <algorithm>
#include <cstdio>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "bounds.hpp"
#include "dispatch.hpp"
#include "layer.hpp"
#include "threads.hpp"
#include "xla_layers.hpp"

namespace tconv::xla {
namespace {

void expect(bool holds, const char* what) {
    if (!holds) throw std::invalid_argument(what);
}

// An array of XLA with its axes in the core's order.
struct Arranged {
    char* data;
    Numbers shape, strides;

    Arranged(const Values& values, std::int64_t which, const std::int64_t* axes, std::size_t ndim, int type) {
        expect(values.types[which] == is_buffer, "an argument is no array");
        const Buffer& buffer = *static_cast<const Buffer*>(values.values[which]);
        expect(buffer.type == type && buffer.rank == static_cast<std::int64_t>(ndim), "the arrays differ in type or rank");
        data = static_cast<char*>(buffer.data);
        Numbers steps(ndim, 1);
        for (std::size_t axis = ndim - 1; axis-- > 0;) steps[axis] = steps[axis + 1] * buffer.shape[axis + 1];
        std::vector<bool> seen(ndim);
        for (std::size_t i = 0; i < ndim; ++i) {
            expect(axes[i] >= 0 && axes[i] < buffer.rank && !seen[static_cast<std::size_t>(axes[i])], "axes");
            seen[static_cast<std::size_t>(axes[i])] = true;
            shape.push_back(buffer.shape[axes[i]]);
            strides.push_back(steps[static_cast<std::size_t>(axes[i])]);
        }
    }

    template <class S>
    View<S> view() const {
        return {reinterpret_cast<S*>(data), shape, strides};
    }
};

// The attributes of a call, as they are named in xla.hpp.
struct Settings {
    std::string backend;
    Numbers layer;

    explicit Settings(const Attributes& attributes) {
        for (std::int64_t i = 0; i < attributes.count; ++i) {
            const std::string_view name{attributes.names[i]->begin, attributes.names[i]->size};
            if (name == "backend" && attributes.types[i] == is_text) {
                const Text& text = *static_cast<const Text*>(attributes.values[i]);
                backend.assign(text.begin, text.size);
            } else if (name == "layer" && attributes.types[i] == is_array) {
                const Array& array = *static_cast<const Array*>(attributes.values[i]);
                expect(array.type == s64, "layer");
                const auto* numbers = static_cast<const std::int64_t*>(array.data);
                layer.assign(numbers, numbers + array.count);
            }
        }
        expect(ndim() > 2 && layer.size() == 6 * ndim() - 4, "layer");
    }

    // (groups, reversed), three lists of ndim axes, three numbers for each of ndim - 2: 6*ndim - 4 in all.
    std::size_t ndim() const { return (layer.size() + 4) / 6; }
    Index groups() const { return layer[0]; }
    bool reversed() const { return layer[1] != 0; }
    const std::int64_t* axes(std::size_t array) const { return &layer[2 + array * ndim()]; }
    const std::int64_t* numbers(std::size_t axis) const { return &layer[2 + 3 * ndim() + 3 * axis]; }
};

// The weight in the core's order, (in, out/groups, *kernel) without gaps.
template <class S>
std::shared_ptr<const S> in_order(const Arranged& rhs, Index groups, bool reversed) {
    const std::size_t ndim = rhs.shape.size();
    const Index out = rhs.shape[0] / groups, in = rhs.shape[1];
    Index taps = 1;
    for (std::size_t a = 2; a < ndim; ++a) taps *= rhs.shape[a];
    auto weight = std::make_shared<tconv::Buffer<S>>(groups * in * out * taps);
    S* to = weight->data();
    const S* const from = reinterpret_cast<const S*>(rhs.data);
    Numbers offsets;
    for (Index tap = 0; tap < taps; ++tap) {
        Index rest = reversed ? taps - 1 - tap : tap, offset = 0;
        for (std::size_t a = ndim; a-- > 2; rest /= rhs.shape[a]) offset += rest % rhs.shape[a] * rhs.strides[a];
        offsets.push_back(offset);
    }
    for (Index group = 0; group < groups; ++group)
        for (Index i = 0; i < in; ++i)
            for (Index o = group * out; o < (group + 1) * out; ++o)
                for (const Index offset : offsets) *to++ = from[o * rhs.strides[0] + i * rhs.strides[1] + offset];
    return {weight, weight->data()};
}

// Parts of the weight so large that another thread is worth while.
constexpr Index part_bytes = 1 << 20;

Checksum checksum_of(const char* data, Index bytes) {
    const Index parts = std::max<Index>(1, bytes / part_bytes);
    std::vector<Checksum> sums(static_cast<std::size_t>(parts));
    parallel(parts, static_cast<double>(bytes), [&](Index i) {
        const Index begin = part(bytes, i, parts);
        sums[static_cast<std::size_t>(i)] = checksum(data + begin, static_cast<std::size_t>(part(bytes, i + 1, parts) - begin));
    });
    Checksum all;
    for (const Checksum& one : sums) all.insert(all.end(), one.begin(), one.end());
    return all;
}

template <class S>
Layers<S>& layers() {
    static Layers<S>& kept = *new Layers<S>;  // never destroyed: threads of XLA may compute while the process ends
    return kept;
}

template <class S>
std::shared_ptr<const Layer<S>> layer_for(const Settings& settings, const Arranged& rhs) {
    const Index groups = settings.groups();
    expect(groups > 0 && rhs.shape[0] % groups == 0, "groups");
    std::vector<Axis> axes;
    for (std::size_t a = 0; a + 2 < rhs.shape.size(); ++a) {
        const std::int64_t* const numbers = settings.numbers(a);
        axes.push_back({rhs.shape[a + 2], numbers[0], numbers[1], numbers[2]});
        const Axis& axis = axes.back();
        expect(axis.kernel > 0 && axis.stride > 0 && axis.dilation > 0 && countable(axis), "an axis of the layer");
    }
    const Choice* choice = choose(settings.backend);
    expect(choice, "unknown or unsupported backend");
    const auto* weight = reinterpret_cast<const S*>(rhs.data);
    Identity identity{weight, settings.layer};
    identity.form.insert(identity.form.end(), rhs.shape.begin(), rhs.shape.end());
    identity.form.push_back(choice - choices().data());
    Index count = 1;
    for (const Index n : rhs.shape) count *= n;
    Checksum checksum = checksum_of(rhs.data, count * static_cast<Index>(sizeof(S)));
    if (auto found = layers<S>().find(identity, checksum)) return found;
    auto made = std::make_shared<const Layer<S>>(weight, nullptr, false, rhs.shape[1] * groups, rhs.shape[0], groups, std::move(axes),
                                                 Activation::none, Sum<S>(0), choice->backend, false);
    layers<S>().keep(std::move(identity), std::move(checksum), made);
    return made;
}

template <class S>
void run(const Call& call, int type) {
    const Settings settings(call.attributes);
    const std::size_t ndim = settings.ndim();
    const Arranged lhs(call.arguments, 0, settings.axes(0), ndim, type), rhs(call.arguments, 1, settings.axes(1), ndim, type),
        result(call.results, 0, settings.axes(2), ndim, type);
    expect(lhs.shape[0] == result.shape[0] && lhs.shape[1] == rhs.shape[1] * settings.groups() && result.shape[1] == rhs.shape[0],
           "the arrays do not fit the layer");
    const auto layer = layer_for<S>(settings, rhs);
    const Lender<S> lender = [&] { return in_order<S>(rhs, settings.groups(), settings.reversed()); };
    layer->run(lhs.view<const S>(), result.view<S>(), &lender);
}

// An error is its receiver's to destroy.
bool succeeded(const Call& call, Error* error) {
    if (!error) return true;
    DestroyError destroy{sizeof(DestroyError), nullptr, error};
    call.api->destroy_error(&destroy);
    return false;
}

// How many threads XLA's own pool has; 0 if it does not tell.
int threads_of(const Call& call) {
    std::int64_t threads = 0;
    CountThreads count{sizeof(CountThreads), nullptr, call.context, &threads};
    if (call.api->size < sizeof(Api)) return 0;
    const bool told = succeeded(call, call.api->count_threads(&count)) && threads > 0;
    return told ? static_cast<int>(std::min<std::int64_t>(threads, 1 << 16)) : 0;
}

// Threads of XLA's own pool: others would contend with them for the processors, as they look out for work for a while.
bool schedule(void* pool, void (*task)(void*), void* data) {
    const Call& call = *static_cast<const Call*>(pool);
    Schedule arguments{sizeof(Schedule), nullptr, call.context, task, data};
    return succeeded(call, call.api->schedule(&arguments));
}

void compute(const Call& call) {
    expect(call.stage == execute && call.arguments.count == 2 && call.results.count == 1, "arguments");
    expect(call.arguments.types[0] == is_buffer, "an argument is no array");
    const int threads = threads_of(call);
    Workers workers{threads ? std::min(threads, num_threads()) : 0};
    if (threads) workers.host = {schedule, const_cast<Call*>(&call)};
    const Employed employed(workers);
    switch (const int type = static_cast<const Buffer*>(call.arguments.values[0])->type) {
        case f32: return run<float>(call, type);
        case f64: return run<double>(call, type);
        case bf16: return run<Bf16>(call, type);
        case f16: return run<F16>(call, type);
        default: throw std::invalid_argument("unknown type of numbers");
    }
}

Error* failed(const Call& call, const char* what, int code) {
    char text[256];  // on the stack, as there may be no memory left
    std::snprintf(text, sizeof text, "tconv: %s", what);
    CreateError error{sizeof(CreateError), nullptr, text, code};
    return call.api->create_error(&error);
}

}  // namespace

Error* tconv_conv_transpose(Call* call) {
    if (call->extension && call->extension->type == asks_for_metadata) {
        Metadata& about = *reinterpret_cast<MetadataExtension*>(call->extension)->metadata;
        about.version.major = 0;
        about.version.minor = 1;
        about.traits = 0;
        return nullptr;
    }
    try {
        compute(*call);
        return nullptr;
    } catch (const std::invalid_argument& error) {
        return failed(*call, error.what(), invalid_argument);
    } catch (const std::bad_alloc&) {
        return failed(*call, "no memory is left", resource_exhausted);
    } catch (const std::exception& error) {
        return failed(*call, error.what(), internal);
    }
}

void forget_layers() {
    layers<float>().clear();
    layers<double>().clear();
    layers<Bf16>().clear();
    layers<F16>().clear();
}

}  // namespace tconv::xla
