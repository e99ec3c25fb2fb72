"""The networks of style transfer in PyTorch, with the layers and the names of the files that people have."""

import torch

CONVOLUTIONS = (2, 2, 4, 1)
"""Convolutions of the stages of VGG-19 up to relu4_1."""


def stages(width):
    """Inputs and outputs of the convolutions of each stage."""
    channels, found = 3, []
    for stage, count in enumerate(CONVOLUTIONS):
        pairs = []
        for _ in range(count):
            pairs.append((channels, width * 2**stage))
            channels = width * 2**stage
        found.append(pairs)
    return found


def padded_convolution(inputs, outputs):
    return [torch.nn.ReflectionPad2d(1), torch.nn.Conv2d(inputs, outputs, 3)]


def normalised_encoder(width):
    """`vgg_normalised.pth`: a convolution of colours, then padding by layers of its own, and pools that round up."""
    layers = [torch.nn.Conv2d(3, 3, 1)]
    for number, pairs in enumerate(stages(width)):
        layers += [torch.nn.MaxPool2d(2, 2, ceil_mode=True)] * (number > 0)
        for pair in pairs:
            layers += [*padded_convolution(*pair), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers)


def torchvision_encoder(width):
    """`features` of torchvision's VGG-19, but for the padding by reflection; the layers behind relu4_1 are left out."""
    layers = []
    for number, pairs in enumerate(stages(width)):
        layers += [torch.nn.MaxPool2d(2, 2, ceil_mode=True)] * (number > 0)
        for inputs, outputs in pairs:
            layers += [torch.nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect"), torch.nn.ReLU()]
    module = torch.nn.Module()
    module.features = torch.nn.Sequential(*layers)
    return module


def decoder(width):
    """`decoder.pth`: the mirror image, with nearest-neighbour upsampling, without a ReLU at the end."""
    layers = []
    for number, pairs in reversed(list(enumerate(stages(width)))):
        for position, (inputs, outputs) in reversed(list(enumerate(pairs))):
            layers += [*padded_convolution(outputs, inputs), torch.nn.ReLU()]
            layers += [torch.nn.UpsamplingNearest2d(scale_factor=2)] * (number > 0 and position == 0)
    return torch.nn.Sequential(*layers[:-1])


def first_features(sequential, x):
    """The features of the first convolution of each stage after its ReLU, of layers up to relu4_1."""
    found, of_stage = [], 0
    for layer in sequential:
        x = layer(x)
        of_stage = 0 if isinstance(layer, torch.nn.MaxPool2d) else of_stage + isinstance(layer, torch.nn.ReLU)
        if isinstance(layer, torch.nn.ReLU) and of_stage == 1:
            found.append(x)
    return found


def statistics(x):
    """Mean and standard deviation of the channels: biased, with 1e-5 in the root."""
    return x.mean((2, 3)), (x.var((2, 3), unbiased=False) + 1e-5).sqrt()


def losses(encode, decode, content, style):
    """Content loss and sum of the style losses, each the mean over the batch, as in the paper's code."""
    of_style = [x.detach() for x in encode(style)]
    features = encode(content)[-1]
    (mean, deviation), (its_mean, its_deviation) = statistics(features), statistics(of_style[-1])
    normalized = (features - mean[..., None, None]) / deviation[..., None, None]
    target = (normalized * its_deviation[..., None, None] + its_mean[..., None, None]).detach()
    found = encode(decode(target))
    of_content = torch.nn.functional.mse_loss(found[-1], target)
    of_styles = [
        (a - b).square().sum(1).mean()
        for x, y in zip(found, of_style, strict=True)
        for a, b in zip(statistics(x), statistics(y), strict=True)
    ]
    return of_content, sum(of_styles)


def to_torch(images, dtype=torch.float64):
    return torch.tensor(images, dtype=dtype).permute(0, 3, 1, 2)


def to_numpy(x):
    return x.detach().permute(0, 2, 3, 1).numpy()
