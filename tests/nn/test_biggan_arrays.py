"""BigGAN against the arrays that the authors' code returned for two networks.

One has hierarchical latents, a shared embedding and attention; the other has the options of the authors' script for
CIFAR-10. Every pass of theirs begins with the same vectors of the power iteration. The first is computed by jaxgen, and
both by the networks in PyTorch with which other tests compare jaxgen's.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from jaxgen.losses import hinge, orthogonal_penalty
from jaxgen.nn import biggan_networks as biggan
from jaxgen.nn.biggan_names import BIGGAN
from jaxgen.nn.convolution import convolutions_by_xla
from jaxgen.nn.published_weights import variables_from, weights_of
from tests.nn import biggan_in_pytorch
from tests.references import arrays, channels_last, group

NAME, CLASSES = "biggan_pytorch", 5
WITH_ATTENTION, OF_CIFAR = "biggan32_hier_shared_attn", "biggan32_cifar_style"
GENERATOR = biggan.Generator((32, 32, 3), 8, CLASSES, embedding_dim=12, attention=(16,))
DISCRIMINATOR = biggan.Discriminator(8, CLASSES, attention=(16,))

HALVED = (True, True, False, False)
IN_PYTORCH = {
    WITH_ATTENTION: (
        partial(biggan_in_pytorch.generate, blocks=3, hierarchical=True, shared=True, attention=(1,)),
        partial(biggan_in_pytorch.discriminate, halved=HALVED, attention=(0, 1, 2, 3)),
    ),
    OF_CIFAR: (
        partial(biggan_in_pytorch.generate, blocks=3, hierarchical=False, shared=False, attention=()),
        partial(biggan_in_pytorch.discriminate, halved=HALVED, attention=()),
    ),
}
"""First part of the names of the arrays -> generator and discriminator."""


def by_jaxgen():
    """What the networks with attention return for the authors' weights and inputs, by the names of the arrays."""
    given = group(NAME, f"{WITH_ATTENTION}/")
    z, real, y, y_real = given["z"], channels_last(given["real"]), given["y"], given["y_real"]

    def variables(network, prefix, *inputs):
        shapes = jax.eval_shape(partial(network.init, train=False), jax.random.key(0), *inputs)
        return variables_from(group(NAME, f"{WITH_ATTENTION}/{prefix}"), shapes, BIGGAN)

    of_g, of_d = variables(GENERATOR, "G/", z[:1], y[:1]), variables(DISCRIMINATOR, "D/", real[:1], y[:1])

    def images(params, z, *, train):
        mutable = ["batch_stats", "spectral"]
        return GENERATOR.apply({**of_g, "params": params}, z, y, train=train, mutable=mutable)

    def logits(params, x, label, *, train):
        return DISCRIMINATOR.apply({**of_d, "params": params}, x, label, train=train, mutable=["spectral"])

    def sum_of_squares(z):
        made, _ = images(of_g["params"], z, train=False)
        return jnp.square(made).sum(), made

    def generator_loss(params, z):
        made, new_g = images(params, z, train=True)
        scores, new_d = logits(of_d["params"], made, y, train=True)
        return hinge.generator(scores).mean(), (made, scores, new_g, new_d)

    def discriminator_loss(params, fake):
        both, labels = jnp.concatenate([fake, real]), jnp.concatenate([y, y_real])
        scores, _ = logits(params, both, labels, train=True)
        return hinge.discriminator(scores[len(y) :], scores[: len(y)]).mean(), scores

    @jax.jit
    def results(params_g, params_d):
        of_z, made = jax.grad(sum_of_squares, has_aux=True)(z)
        differentiated = jax.value_and_grad(generator_loss, argnums=(0, 1), has_aux=True)
        (g_loss, (fake, scores, new_g, new_d)), (grad_g, dz) = differentiated(params_g, z)
        (d_loss, both), grad_d = jax.value_and_grad(discriminator_loss, has_aux=True)(params_d, fake)
        return {
            "eval/img": made,
            "eval/dz_sum_sq": of_z,
            "eval/logits_real": logits(params_d, real, y_real, train=False)[0],
            "eval/logits_fake": logits(params_d, made, y, train=False)[0],
            "train/img": fake,
            "train/logits_fake": scores,
            "train/g_loss": g_loss,
            "train/dz_g_loss": dz,
            "train/d_logits_fake_then_real": both,
            "train/d_loss": d_loss,
            "train/G_after_one_call/": new_g,
            "train/D_after_one_call/": new_d,
            "train/grad_g/": {"params": grad_g},
            "train/grad_d/": {"params": grad_d},
        }

    with convolutions_by_xla():
        found = results(of_g["params"], of_d["params"])
    theirs = {name: weights_of(tree, BIGGAN) for name, tree in found.items() if name.endswith("/")}
    channels_first = {name: np.moveaxis(found[name], -1, 1) for name in ("eval/img", "train/img")}
    return {**found, **theirs, **channels_first}


def by_pytorch(case):
    """The same in float64 by the networks in PyTorch."""
    generate, discriminate = IN_PYTORCH[case]
    given = group(NAME, f"{case}/")
    real, y, y_real = (
        torch.tensor(given["real"], dtype=torch.float64),
        *map(torch.tensor, (given["y"], given["y_real"])),
    )
    z = torch.tensor(given["z"], dtype=torch.float64, requires_grad=True)

    def network(prefix, *, train):
        return biggan_in_pytorch.Network(group(NAME, f"{case}/{prefix}"), train=train, epsilon=1e-6)

    def gradients(net):
        return {name: x.grad for name, x in net.arrays.items() if x.grad is not None}

    of_g, of_d = network("G/", train=False), network("D/", train=False)
    made = generate(of_g, z, y)
    found = {"eval/img": made, "eval/dz_sum_sq": torch.autograd.grad(made.square().sum(), z)[0]}
    found["eval/logits_real"], found["eval/logits_fake"] = discriminate(of_d, real, y_real), discriminate(of_d, made, y)
    of_g, of_d, again = network("G/", train=True), network("D/", train=True), network("D/", train=True)
    fake = generate(of_g, z, y)
    scores, both = (
        discriminate(of_d, fake, y),
        discriminate(again, torch.cat([fake.detach(), real]), torch.cat([y, y_real])),
    )
    g_loss, d_loss = -scores.mean(), (torch.relu(1 + both[: len(y)]) + torch.relu(1 - both[len(y) :])).mean()
    g_loss.backward()
    d_loss.backward()
    found |= {"train/img": fake, "train/logits_fake": scores, "train/g_loss": g_loss, "train/d_loss": d_loss}
    found |= {"train/dz_g_loss": z.grad, "train/d_logits_fake_then_real": both}
    trees = {
        "train/G_after_one_call/": of_g.stored,
        "train/D_after_one_call/": of_d.stored,
        "train/grad_g/": gradients(of_g),
        "train/grad_d/": gradients(again),
    }
    as_arrays = {name: {each: x.detach().numpy() for each, x in tree.items()} for name, tree in trees.items()}
    return {name: x.detach().numpy() for name, x in found.items()} | as_arrays


@pytest.mark.parametrize(
    ("case", "compute"),
    [
        (WITH_ATTENTION, by_jaxgen),
        (WITH_ATTENTION, partial(by_pytorch, WITH_ATTENTION)),
        (OF_CIFAR, partial(by_pytorch, OF_CIFAR)),
    ],
    ids=["jaxgen", "PyTorch", "PyTorch, CIFAR-10"],
)
def test_images_logits_losses_statistics_and_gradients_are_those_of_the_authors(case, compute):
    """Of gradients, which are stored in float16, those of biases before batch normalization are rounding errors."""
    found, expected = compute(), group(NAME, f"{case}/")
    expected["train/d_loss"] = expected.pop("train/d_loss_real_part") + expected.pop("train/d_loss_fake_part")
    outputs = {name for name in expected if name.startswith(("eval/", "train/")) and name.count("/") == 1}
    assert outputs == {name for name in found if not name.endswith("/")}
    for name in outputs:
        result = np.reshape(found[name], expected[name].shape)
        np.testing.assert_allclose(result, expected[name], rtol=1e-4, atol=1e-5 * expected[name].std(), err_msg=name)
    for network in "GD":
        name = f"train/{network}_after_one_call/"
        of_authors = group(NAME, f"{case}/{name}")
        assert set(found[name]) == set(of_authors)
        for each, array in of_authors.items():
            np.testing.assert_allclose(found[name][each], array, rtol=1e-4, atol=1e-5, err_msg=each)
        name = f"train/grad_{network.lower()}/"
        of_authors = group(NAME, f"{case}/{name}")
        assert set(found[name]) == set(of_authors)
        largest = max(np.abs(array).max() for array in of_authors.values())
        for each, array in of_authors.items():
            atol = 2e-4 * np.abs(array).max() + 1e-6 * largest
            np.testing.assert_allclose(found[name][each], array, rtol=1e-3, atol=atol, err_msg=each)


@pytest.mark.parametrize("case", IN_PYTORCH)
def test_half_of_the_gradient_of_the_orthogonal_penalty_is_that_of_the_authors(case):
    for diagonal, kind in ((False, "ortho_modified_grad"), (True, "ortho_grad")):
        expected = group(NAME, f"{case}/{kind}/")
        assert len(expected) == 2
        for name, gradient in expected.items():
            rows = arrays(NAME)[f"{case}/G/{name}"].reshape(len(gradient), -1)
            found = jax.grad(lambda kernel, diagonal=diagonal: orthogonal_penalty(kernel, diagonal=diagonal))(rows.T).T
            wanted = 2 * gradient.reshape(rows.shape)
            np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=2e-4 * np.abs(wanted).max(), err_msg=name)
