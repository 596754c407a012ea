"""What a residual block adds to what, and where the resolution halves."""

import torch

from pqi.experiment import models
from pqi.experiment.models.bottleneck import Bottleneck
from pqi.experiment.models.pre_activation import PreActivationBlock


def randomised(block):
    """Return the block in evaluation mode with normalisation that is no identity."""
    for name, tensor in block.named_buffers():
        if name.endswith("running_mean"):
            tensor.normal_()
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
    return block.eval()


def test_a_plain_block_adds_to_its_input():
    block, x = randomised(PreActivationBlock(4, 4, 1)), torch.randn(2, 4, 6, 6)
    block.conv2.weight.data.zero_()
    assert torch.equal(block(x), x)
    assert block.shortcut is None


def test_a_projected_shortcut_is_taken_after_normalisation_and_relu():
    block, x = randomised(PreActivationBlock(4, 8, 2)), torch.randn(2, 4, 6, 6)
    block.conv2.weight.data.zero_()
    assert torch.equal(block(x), block.shortcut(block.norm1(x).relu()))
    assert block(x).shape == (2, 8, 3, 3)
    assert block.shortcut.bias is None


def test_the_residual_is_normalised_before_each_convolution():
    block, x = randomised(PreActivationBlock(4, 4, 1)), torch.randn(2, 4, 6, 6)
    residual = block.conv2(block.norm2(block.conv1(block.norm1(x).relu())).relu())
    assert torch.equal(block(x), residual + x)


def test_a_bottleneck_normalises_after_each_convolution_and_ends_with_relu():
    block, x = randomised(Bottleneck(4, 2, 2)), torch.randn(2, 4, 6, 6)
    inner = block.norm2(block.conv2(block.norm1(block.conv1(x)).relu())).relu()
    shortcut = block.shortcut[1](block.shortcut[0](x))
    assert torch.equal(block(x), (block.norm3(block.conv3(inner)) + shortcut).relu())
    assert block(x).shape == (2, 8, 3, 3)
    assert block.conv2.stride == (2, 2), "the stride is in the 3x3 convolution"


def resolutions(name):
    """Return the shapes that the stages of a model put out for an image of 32 pixels."""
    model, shapes = models.build(name, (3, 32, 32), 10, seed=0).eval(), []
    for stage in model.get_submodule("stages").children():
        stage.register_forward_hook(lambda module, arguments, output: shapes.append(tuple(output.shape[1:])))
    with torch.inference_mode():
        model(torch.zeros(1, 3, 32, 32))
    return shapes


def test_stages_halve_the_resolution():
    assert resolutions("resnet18") == [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]
    assert resolutions("wresnet28x8") == [(128, 32, 32), (256, 16, 16), (512, 8, 8)]
    assert resolutions("resnet50") == [(256, 8, 8), (512, 4, 4), (1024, 2, 2), (2048, 1, 1)]
