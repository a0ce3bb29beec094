"""Times what runs on a GPU through torch."""
import torch

REPEATS = 20


def microseconds(enqueue, count) -> float:
    """Of one of the `count` things that `enqueue` starts: they become a CUDA graph, whose median time is taken."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        enqueue()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        enqueue()
    times = []
    for _ in range(REPEATS + 3):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        graph.replay()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end) * 1000 / count)
    return sorted(times[3:])[REPEATS // 2]
