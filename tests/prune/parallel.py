"""One process of a distributed training, for tests that spawn several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.distributed
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from pqi.prune import Pruner, Target


def train(rank: int, directory: str) -> None:
    """Train once for each way of keeping gradients, and save what came out."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{directory}/rendezvous", rank=rank, world_size=2)
    results = {str(view): trained(rank, bucket_view=view) for view in (False, True)}
    torch.save(results, Path(directory) / f"{rank}.pt")
    torch.distributed.destroy_process_group()


def trained(rank: int, *, bucket_view: bool) -> dict[str, Any]:
    """Train on this rank's own data and prune half of the weights in two steps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 3))
    parallel = DistributedDataParallel(model, gradient_as_bucket_view=bucket_view)
    optimizer = torch.optim.AdamW(parallel.parameters(), lr=0.01, weight_decay=0.1)
    pruner = Pruner(parallel, optimizer, amount=Target(0.5, 2))
    generator = torch.Generator().manual_seed(rank)
    revived = 0
    for step in range(8):
        x, y = torch.randn(32, 8, generator=generator), torch.randint(3, (32,), generator=generator)
        optimizer.zero_grad()
        nn.functional.cross_entropy(parallel(x), y).backward()
        optimizer.step()
        revived += sum(pruner.revived().values())
        if step % 3 == 2:
            pruner.step()
    return {"model": model.state_dict(), "masks": pruner.masks, "revived": revived, "names": list(pruner.masks)}
