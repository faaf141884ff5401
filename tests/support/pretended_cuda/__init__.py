"""A pretended GPU: tensors that say they are on `cuda:N`, are computed on the CPU, and refuse what a GPU refuses.

Values are real, so code whose way depends on them runs as it would. Inside `with pretended_cuda(count=2):` PyTorch and
Accelerate find two GPUs. Outside, and in a machine without a GPU, nothing of it is left.

| planted fault that it finds                                         | what a GPU would do               |
|---------------------------------------------------------------------|-----------------------------------|
| tensors of two devices in one operation (a CPU number is allowed)   | RuntimeError                      |
| two GPUs in one operation                                           | RuntimeError                      |
| a layer and its input, an embedding and its indices on two devices  | RuntimeError                      |
| a result written into a tensor elsewhere (`+=`, `out=`, an index)   | RuntimeError                      |
| CUDA indices or a CUDA mask into a CPU tensor                       | RuntimeError                      |
| random numbers on the GPU from a CPU generator, or the other way    | RuntimeError                      |
| `.numpy()`, `np.asarray` and all that calls it                      | TypeError                         |
| memory shared with NumPy after `.to("cuda")`                        | a copy: later writes are not seen |
| pinning a CUDA tensor                                               | RuntimeError                      |
| pinning or allocating on a GPU that is another process's            | memory of its own on that GPU     |
| a gradient elsewhere than its tensor                                | RuntimeError                      |
| a product of integers                                               | RuntimeError                      |
| a GPU that is not there                                             | RuntimeError                      |
| reading a copy to the host made with `non_blocking=True`            | garbage, without a word           |
| a model that stays behind when its optimizer's are moved            | RuntimeError in its first layer   |
| a TorchScript module elsewhere than its input                       | RuntimeError                      |

It covers PyTorch's Python interface: tensors, factories, modules, optimizers (foreach too), autograd's results,
autocast (as the CPU's, with its own list of operations), `torch.cuda`'s questions, Accelerate with one process.

It cannot show: what CUDA's kernels compute and how they round, which of them exist for a type (integer products apart),
how much memory there is, anything asynchronous but the copy above, streams, graphs, NCCL, compiled or C++ code that
PyTorch's Python interface does not see (a backward pass is trusted), other threads than the test's, half precision as
it is on a GPU.
"""

from pretended_cuda.patches import Cuda, pretended_cuda

__all__ = ["Cuda", "pretended_cuda"]
