"""Shapes of networks, by name: each a function that draws one with seeded weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tinybench.making.network import Activation
from tinybench.making.synthetic import Plane, Seeded


def mobilenet_v1(net: Seeded) -> Plane:
    """vww01's shape: MobileNetV1 0.25 on 96 x 96 RGB, two classes (MLPerf Tiny)."""
    x = net.conv(net.input((96, 96, 3)), 8, stride=(2, 2))
    blocks = ((16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2), *((128, 1),) * 5, (256, 2), (256, 1))
    for filters, stride in blocks:
        x = net.conv(net.depthwise(x, stride=(stride, stride)), filters, (1, 1))
    return _classified(net, net.average_pool(x, (3, 3)), 2)


def ds_cnn(net: Seeded) -> Plane:
    """kws01's shape: a depthwise separable network on 49 x 10 features, twelve words (MLPerf Tiny).

    Its inputs are from -1 to 1, which every form of numbers can be fed alike.
    """
    x = net.conv(net.input((49, 10, 1), low=-1.0), 64, (10, 4), stride=(2, 2))
    for _ in range(4):
        x = net.conv(net.depthwise(x), 64, (1, 1))
    return _classified(net, net.average_pool(x, (25, 5)), 12)


def resnet8(net: Seeded) -> Plane:
    """ic01's shape: three residual blocks on 32 x 32 RGB, ten classes (MLPerf Tiny)."""
    return _resnet8(net, residuals=True)


def resnet8_plain(net: Seeded) -> Plane:
    """The same convolutions in a row, without residuals: what a skip connection costs in memory."""
    return _resnet8(net, residuals=False)


def autoencoder(net: Seeded) -> Plane:
    """ad01's shape: fully connected, 640 values through a waist of 8 and back (MLPerf Tiny)."""
    x = net.input((640,), low=-85.0, high=14.5)
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = net.dense(x, units, activation="relu")
    return net.dense(x, 640)


def wake_word(net: Seeded) -> Plane:
    """sww01's shape: 1-D separable convolutions over 30 frames of 40 features, three words (MLPerf Tiny)."""
    x = net.input((30, 1, 40))
    for frames, filters in ((3, 128), (5, 128), (10, 128), (15, 32)):
        x = net.depthwise(x, (frames, 1), padding="valid", activation="none")
        x = net.conv(x, filters, (1, 1), padding="valid")
    return _classified(net, x, 3)


def inverted_residuals(net: Seeded) -> Plane:
    """MobileNetV2's blocks (Sandler et al. 2018): expand, filter, project, add where shapes allow."""
    x = net.conv(net.input((80, 80, 3)), 16, stride=(2, 2), activation="relu6")
    blocks = ((1, 8, 1), (6, 16, 2), (6, 16, 1), (6, 24, 2), (6, 24, 1), (6, 40, 2), (6, 40, 1), (6, 56, 1))
    for expansion, filters, stride in blocks:
        x = _inverted_residual(net, x, expansion, filters, stride)
    x = net.conv(x, 160, (1, 1), activation="relu6")
    return _classified(net, net.mean(x), 2)


def unet(net: Seeded) -> Plane:
    """A small U-Net (Ronneberger et al. 2015) for 48 x 48 grey: long-lived tensors, a class per pixel."""
    skips: list[Plane] = []
    x = net.input((48, 48, 1))
    for filters in (8, 16):
        x = net.conv(net.conv(x, filters), filters)
        skips.append(x)
        x = net.max_pool(x, (2, 2))
    x = net.conv(net.conv(x, 32), 32)
    for filters in (16, 8):
        x = net.concat(skips.pop(), net.conv(net.upsample(x), filters))
        x = net.conv(net.conv(x, filters), filters)
    return net.conv(x, 2, (1, 1), activation="none", prunable=False)


def activity(net: Seeded) -> Plane:
    """A wearable's activity network: 128 samples of 3 axes, six activities."""
    x = net.conv(net.input((128, 1, 3), low=-1.0), 16, (5, 1), stride=(2, 1))
    x = net.conv(x, 24, (5, 1), stride=(2, 1))
    x = net.conv(x, 32, (3, 1), stride=(2, 1))
    return _classified(net, net.average_pool(x, (16, 1)), 6)


def stress(net: Seeded) -> Plane:
    """A wearable's stress network: 28 features of heart rate and skin conductance, two classes."""
    x = net.dense(net.input((28,), low=-1.0), 32, activation="relu")
    x = net.dense(x, 16, activation="relu")
    return net.softmax(net.dense(x, 2))


def fcnn(layers: int, width: int) -> Callable[[Seeded], Plane]:
    """Fully connected, `layers` of `width` x `width`: where an engine's own cost per layer shows.

    AIfES compares itself on networks of this kind (Wulfert et al. 2024).
    """

    def drawn(net: Seeded) -> Plane:
        x = net.input((width,))
        for _ in range(layers - 1):
            x = net.dense(x, width, activation="relu")
        return net.dense(x, width)

    return drawn


def _resnet8(net: Seeded, *, residuals: bool) -> Plane:
    x = net.conv(net.input((32, 32, 3)), 16, prunable=not residuals)
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        last: Activation = "none" if residuals else "relu"
        y = net.conv(x, filters, stride=(stride, stride))
        y = net.conv(y, filters, activation=last, prunable=not residuals)
        if residuals:
            if stride > 1:
                x = net.conv(x, filters, (1, 1), stride=(stride, stride), activation="none", prunable=False)
            x = net.add(x, y, activation="relu")
        else:
            x = y
    return _classified(net, net.average_pool(x, (8, 8)), 10)


def _inverted_residual(net: Seeded, x: Plane, expansion: int, filters: int, stride: int) -> Plane:
    y = x if expansion == 1 else net.conv(x, x.of * expansion, (1, 1), activation="relu6")
    y = net.depthwise(y, stride=(stride, stride), activation="relu6")
    y = net.conv(y, filters, (1, 1), activation="none", prunable=False)
    return net.add(x, y) if stride == 1 and x.of == filters else y


def _classified(net: Seeded, x: Plane, classes: int) -> Plane:
    return net.softmax(net.dense(net.flatten(x), classes))


ARCHITECTURES: Mapping[str, Callable[[Seeded], Plane]] = MappingProxyType(
    {
        "mobilenet-v1-025": mobilenet_v1,
        "ds-cnn": ds_cnn,
        "resnet8": resnet8,
        "resnet8-plain": resnet8_plain,
        "autoencoder": autoencoder,
        "wake-word": wake_word,
        "inverted-residuals": inverted_residuals,
        "unet": unet,
        "activity": activity,
        "stress": stress,
        **{f"fcnn-{layers}x{width}": fcnn(layers, width) for layers in (1, 10) for width in (10, 100)},
    }
)
