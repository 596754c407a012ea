"""The README's examples of pruning without our trainer, each run as it stands there."""

import re
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from prune.lightning_module import lightning_module
from prune.networks import Tied, blobs, normalised

HERE = Path(__file__).parent
README = HERE.parents[1] / "README.md"


def blocks(path):
    """Return the Python examples of a Markdown file."""
    return re.findall(r"^```python\n(.*?)^```", path.read_text(), re.MULTILINE | re.DOTALL)


PLAIN_TORCH, LIGHTNING, HUGGING_FACE = blocks(HERE / "snippets.md")


def run(snippet, **given):
    """Execute an example among the names that its reader would have."""
    names = {"torch": torch, **given}
    exec(compile(snippet, "README.md", "exec"), names)
    return names


@pytest.mark.parametrize("snippet", [PLAIN_TORCH, LIGHTNING, HUGGING_FACE])
def test_ten_lines_at_most(snippet):
    assert len([line for line in snippet.splitlines() if line.strip()]) <= 10


def test_the_readme_shows_no_other_use_of_the_callbacks():
    for block in blocks(README):
        assert "Callback" not in block or block in (LIGHTNING, HUGGING_FACE)


def test_the_readme_s_loop_runs():
    (snippet,) = [block for block in blocks(README) if "Pruner(" in block and "Callback" not in block]
    assert len([line for line in snippet.splitlines() if line.strip()]) <= 10

    def train(model, optimizer):
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(torch.randn(32, 64)), torch.randint(10, (32,))).backward()
            optimizer.step()

    pruner = run(snippet, train=train)["pruner"]
    assert pruner.remaining == sum(int((weight != 0).sum()) for weight in pruner.weights().values()) < pruner.total


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_plain_torch(elsewhere, capsys):
    model = Tied()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, weight_decay=0.1)
    batches = [(torch.arange(11), torch.arange(11).flip(0))]
    model.embedding.weight.requires_grad_(False)
    names = run(PLAIN_TORCH, model=model, optimizer=optimizer, batches=batches, loss=nn.functional.cross_entropy)
    assert names["pruner"].masks.keys() == {"hidden.weight"}
    assert names["pruner"].revived() == {}
    assert 0 < names["pruner"].density() < 1
    assert capsys.readouterr().out.count("weights remain") == 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_lightning(elsewhere):
    _, module = lightning_module(normalised())
    batches = DataLoader(TensorDataset(*blobs()), batch_size=16)
    names = run(LIGHTNING, module=module, batches=batches)
    state = torch.load(elsewhere / "pruned.pt", weights_only=True)
    assert len(names["prune"].reports) == 3
    assert sum(int((state[name] == 0).sum()) for name in names["pruner"].masks) == 176 * 8 // 10


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_hugging_face(elsewhere):
    transformers = pytest.importorskip("transformers", reason="transformers is not installed", exc_type=ImportError)
    pytest.importorskip("accelerate", reason="accelerate is not installed", exc_type=ImportError)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.BertConfig(vocab_size=50, max_position_embeddings=16, **sizes)
    transformers.BertForSequenceClassification(config).save_pretrained("checkpoint")
    dataset = [{"input_ids": torch.randint(50, (8,)), "labels": i % 2} for i in range(40)]
    names = run(HUGGING_FACE, checkpoint="checkpoint", dataset=dataset)
    pruner = names["pruner"]
    assert len(names["prune"].reports) == 3
    assert pruner.total - pruner.remaining == pruner.total * 8 // 10
    again = transformers.AutoModelForSequenceClassification.from_pretrained("pruned")
    weights = dict(again.named_parameters())
    assert all(torch.equal(weights[name] != 0, mask) for name, mask in pruner.masks.items())
    assert all("embeddings" not in name for name in pruner.masks)
