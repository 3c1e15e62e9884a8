"""All that tconv takes from PyTorch beyond its public interface, in one place and with what to do where it is missing.

Tested with the oldest and the newest PyTorch that pyproject.toml allows. No other module imports a private name.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

_C: Any = torch._C
_dlpack: Any = torch.utils.dlpack


def _yes() -> bool:
    return True


def _no() -> bool:
    return False


def _zero() -> int:
    return 0


# The capsule functions spare a microsecond a call over the public ones, which look at the device and its streams too.
to_dlpack: Callable[[Tensor], Any] = getattr(_C, "_to_dlpack", _dlpack.to_dlpack)
from_dlpack: Callable[[Any], Tensor] = getattr(_C, "_from_dlpack", _dlpack.from_dlpack)

# What sees each operator that runs within it.
DispatchMode: TypeAlias = torch.utils._python_dispatch.TorchDispatchMode

# The bases of PyTorch's layers; without them, none is found.
ConvBase: TypeAlias = nn.modules.conv._ConvNd
TransposedBase: TypeAlias = nn.modules.conv._ConvTransposeNd
BatchNormBase: TypeAlias = nn.modules.batchnorm._BatchNorm

# Tells Inductor to leave an operator out of the CUDA graphs that it captures: the engine keeps packed weights from call
# to call, which must not lie in memory of such a graph.
LEFT_OUT_OF_GRAPHS = tuple(getattr(torch.Tag, name) for name in ("cudagraph_unsafe",) if hasattr(torch.Tag, name))

# What torch.nn.utils.parametrizations.weight_norm computes weights with.
WEIGHT_NORM = tuple(getattr(torch, name) for name in ("_weight_norm", "norm_except_dim") if hasattr(torch, name))

# Where `nn.Module.compile` puts what runs in place of a module's call. Copies and pickles of the module leave it out.
CALL_SLOT = "_compiled_call_impl"

_dispatch_modes: Callable[[], int] = getattr(_C, "_len_torch_dispatch_stack", _zero)
_function_mode: Callable[[], bool] = getattr(_C, "_is_torch_function_mode_enabled", _no)
_tracing: Callable[[], Any] = getattr(_C, "_get_tracing_state", lambda: None)
_transform: Callable[[], Any] = getattr(getattr(_C, "_functorch", None), "peek_interpreter_stack", lambda: None)
_profiler: Callable[[], bool] = getattr(getattr(_C, "_autograd", None), "_profiler_enabled", _yes)
_is_excluded: Callable[[Any], bool] | None = getattr(_C, "_dispatch_tls_is_dispatch_key_excluded", None)
_ON_CPU, _ON_GPU = (getattr(getattr(_C, "DispatchKey", None), name, None) for name in ("AutocastCPU", "AutocastCUDA"))

# The types of devices that engines are for, and whether this PyTorch has the second.
_DEVICES = ("cpu", "cuda")
_HAS_GPU = torch.backends.cuda.is_built()

_hooks_on_all: Callable[[], Any] = getattr(nn.modules.module, "_has_any_global_hook", _no)


def autocast() -> bool:
    """Whether autocast chooses the dtypes of operators, on any device that has an engine."""
    # It is off exactly while the dispatcher leaves it out: that is told in half the time of is_autocast_enabled.
    if _is_excluded is None or _ON_CPU is None or _ON_GPU is None:
        return any(map(torch.is_autocast_enabled, _DEVICES))
    return not _is_excluded(_ON_CPU) or (_HAS_GPU and not _is_excluded(_ON_GPU))


def autocasting() -> tuple[str, ...]:
    """The types of devices on which autocast chooses the dtypes of operators."""
    return tuple(filter(torch.is_autocast_enabled, _DEVICES)) if autocast() else ()


def autocast_dtype(device: str) -> torch.dtype | None:
    """What autocast lets convolutions on devices of this type compute in; None: it is off."""
    return torch.get_autocast_dtype(device) if device in autocasting() else None


def autocast_dtypes() -> list[torch.dtype]:
    """What autocast lets convolutions compute in, on all devices on which it is on."""
    return [torch.get_autocast_dtype(device) for device in autocasting()]


@contextmanager
def without_autocast() -> Iterator[None]:
    """Within it, operators compute in the dtypes of their tensors."""
    with ExitStack() as stack:
        for device in autocasting():
            stack.enter_context(torch.autocast(device, enabled=False))
        yield


def changes_autocast(graph: torch.fx.Graph) -> bool:
    """Whether a captured graph enters or leaves autocast within itself."""
    names = {str(getattr(node.target, "__name__", node.target)) for node in graph.nodes}
    return not names.isdisjoint({"_enter_autocast", "_exit_autocast"})


_precision: Callable[[str, str], str] | None = getattr(_C, "_get_fp32_precision_getter", None)


def tf32() -> bool:
    """Whether convolutions of float32 on NVIDIA's GPUs may round what they multiply to TF32, as PyTorch's switches say.

    It is on unless it is switched off. The question is asked so that neither the older switches nor the newer ones warn
    of a mixture.
    """
    if torch.version.hip is not None:
        return False
    return bool(torch.backends.cudnn.allow_tf32) if _precision is None else _precision("cuda", "conv") == "tf32"


def _raw_stream(index: int) -> int:
    return torch.cuda.current_stream(index).cuda_stream


# The handle of the current stream of a GPU, by its index: told in a tenth of the time that a Stream takes to be made.
raw_stream: Callable[[int], int] = getattr(_C, "_cuda_getCurrentRawStream", _raw_stream)


def capturing() -> bool:
    """Whether a CUDA graph is being captured on the current stream, where nothing may wait and nothing be derived."""
    return _HAS_GPU and torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()


def profiling() -> bool:
    """Whether a profiler records operators."""
    return _profiler()


def scripting() -> bool:
    """Whether torch.jit.trace or the older ONNX export records operators."""
    return _tracing() is not None


def transformed() -> bool:
    """Whether a torch.func transform (vmap, grad, jvp) is at work."""
    return _transform() is not None


def forward_mode() -> bool:
    """Whether forward-mode differentiation is on."""
    return getattr(forward_ad, "_current_level", 0) >= 0


def hooks_on_all() -> bool:
    """Whether there are hooks on all modules of the process, on which TorchDynamo sets no guards."""
    return bool(_hooks_on_all())


def taken() -> bool:
    """Whether somebody takes or counts PyTorch's operators on their way: a mode, transform or tracer."""
    return (
        _dispatch_modes() > 0
        or _function_mode()
        or _transform() is not None
        or forward_ad._current_level >= 0
        or _tracing() is not None
    )


def intercepted() -> bool:
    """Whether operators are `taken`, or autocast chooses their dtypes."""
    return taken() or autocast()


def watched() -> bool:
    """Whether somebody sees operators: `intercepted`, or a profiler."""
    return intercepted() or _profiler()


def compiled(function: Callable[..., Any], backend: Callable[..., Any]) -> Callable[..., Any]:
    """`function` as TorchDynamo captures it, for `backend`; its graphs are nobody else's."""
    make: Any = torch.compile
    isolated = {"isolate_recompiles": True} if "isolate_recompiles" in (make.__kwdefaults__ or {}) else {}  # 2.13
    result: Callable[..., Any] = make(function, backend=backend, **isolated)
    return result


# Guards on the hooks of every captured module, which TorchDynamo leaves out by default; NumPy's random numbers are
# NumPy's, not PyTorch's; and what cannot be captured, or fails to be, runs as Python.
_SOUNDLY = {"skip_nnmodule_hook_guards": False, "use_numpy_random_stream": True, "suppress_errors": True}


# On this thread, how many calls of `soundly`'s functions are under way.
_calls = threading.local()


def _leave_generators_alone() -> None:
    """Let TorchDynamo leave a graph where a random.Random is drawn from, within `soundly`'s functions.

    It would read such an object without a guard on its state: every later call would draw the numbers of the first.
    """
    kind: Any = getattr(torch._dynamo.variables.misc, "RandomVariable", None)
    own: Any = getattr(kind, "is_supported_random_obj", None)
    if own is None or own.__module__ == __name__:
        return

    def may_be_read(value: Any) -> bool:
        return not getattr(_calls, "depth", 0) and bool(own(value))

    kind.is_supported_random_obj = staticmethod(may_be_read)


def soundly(function: Callable[..., Any]) -> Callable[..., Any]:
    """A captured `function` that notices changed hooks and generators too, and never fails because it was captured."""
    _leave_generators_alone()
    noticing = _noticing_hooks(function)

    def run(*args: Any, **kwargs: Any) -> Any:
        _calls.depth = getattr(_calls, "depth", 0) + 1
        try:
            return noticing(*args, **kwargs)
        finally:
            _calls.depth -= 1

    return run


def _noticing_hooks(function: Callable[..., Any]) -> Callable[..., Any]:
    config: Any = torch._dynamo.config
    change = getattr(config, "_make_closure_patcher", None)
    if change is None:
        patched: Callable[..., Any] = config.patch(**_SOUNDLY)(function)
        return patched
    guarded = change(**_SOUNDLY)

    def run(*args: Any, **kwargs: Any) -> Any:
        revert = guarded()
        try:
            return function(*args, **kwargs)
        finally:
            revert()

    return run


def let_go(tensor: Tensor) -> bool:
    """Whether a tensor's memory was let go, as FSDP does between the uses of a weight."""
    try:
        return tensor.untyped_storage().nbytes() == 0 and tensor.numel() > 0
    except NotImplementedError:  # torch.func's wrappers have none of their own
        return False


def spread(model: nn.Module) -> str | None:
    """How the calls of a model are tied to other processes, which must make the same ones; None if they are not."""
    modules = {"DistributedDataParallel": nn.parallel.DistributedDataParallel}
    sharding: Any = sys.modules.get("torch.distributed.fsdp")  # which a sharded model has loaded
    for name in ("FSDPModule", "FullyShardedDataParallel"):
        if hasattr(sharding, name):
            modules[name] = getattr(sharding, name)
    found = (name for m in model.modules() for name, kind in modules.items() if isinstance(m, kind))
    tensors = ("DTensor" for p in model.parameters() if hasattr(p, "device_mesh"))
    return next(found, None) or next(tensors, None)


def several_processes() -> bool:
    """Whether this process is one of several that compute together."""
    together = torch.distributed
    return together.is_available() and together.is_initialized() and together.get_world_size() > 1


@contextmanager
def quietly() -> Iterator[None]:
    """Within it, TorchDynamo does not warn of what it cannot capture: `graph_breaks` tells."""
    logger = logging.getLogger("torch._dynamo")
    level = logger.level
    logger.setLevel(max(level, logging.ERROR))
    try:
        yield
    finally:
        logger.setLevel(level)


def graph_breaks() -> dict[str, int]:
    """Why TorchDynamo had to leave a graph, and how often, since the process began."""
    return dict(torch._dynamo.utils.counters["graph_break"])


def example_of(node: torch.fx.Node) -> Any:
    """What a node of TorchDynamo's graph stands for: a tensor without memory, a number, or None if it says nothing."""
    return node.meta.get("example_value")


def hint(size: Any) -> int:
    """The size that a symbol stood for when the graph was made, without making the graph depend on it."""
    return size if type(size) is int else int(getattr(size.node, "hint", None) or 64)


def module_ids(node: torch.fx.Node) -> list[str]:
    """The ids of the modules within whose forwards a node was made, the innermost last."""
    return [str(key).partition("@")[0] for key in node.meta.get("nn_module_stack") or {}]


@contextmanager
def without_memory(values: list[Any]) -> Iterator[None]:
    """Within it, operators on tensors without memory make such tensors, and none gets gradients."""
    mode = next((value.fake_mode for value in values if hasattr(value, "fake_mode")), None)
    if mode is None:
        raise LookupError("there is no tensor without memory")
    # PyTorch's decompositions in Python keep symbols for sizes, where those in C++ ask for numbers.
    dispatcher = getattr(getattr(torch, "_dispatch", None), "python", None)
    with mode, dispatcher.enable_python_dispatcher() if dispatcher else nullcontext(), torch.no_grad():
        yield


# Where a node of autograd's graph keeps what its operator was called with, and the shapes of its operator's results.
_SAVED = "_saved_"


def saved(node: Any, name: str) -> Any:
    """What an operator was called with, as its node in autograd's graph has kept it; None where it has not."""
    return getattr(node, _SAVED + name, None)


def result_shapes(node: Any) -> list[tuple[int, ...]]:
    """The shapes of the results of a node's operator; empty where PyTorch does not tell."""
    return [tuple(each.shape) for each in getattr(node, "_input_metadata", ())]


@contextmanager
def eagerly() -> Iterator[None]:
    """Within it, compiled models run as they are written: by torch.compile, by tconv, and by TorchScript's optimiser.

    TorchDynamo is left alone where nobody has imported it, as that takes seconds and nothing can have been compiled.
    """
    compiler: Any = torch.compiler
    script: Any = torch.jit
    loaded = "torch._dynamo" in sys.modules
    with compiler.set_stance("force_eager") if loaded else nullcontext(), script.optimized_execution(False):
        yield
