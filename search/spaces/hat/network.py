"""The supernet of translators: taught with whole sentences, exported as an encoder and one step of the decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hwloop.records import Arch, TensorSpec
from hwloop.search.spaces.base import Part, Setting
from hwloop.search.spaces.hat.choices import HatSizes, hat_choices
from hwloop.search.spaces.hat.decoder import Decoder
from hwloop.search.spaces.hat.encoder import Encoder
from hwloop.search.spaces.hat.layers import BLOCKED, Cache
from hwloop.search.tokens import END, PAD, START


class Hat(nn.Module):
    """The supernet of translators."""

    def __init__(self, sizes: HatSizes) -> None:
        super().__init__()
        self.encoder, self.decoder = Encoder(sizes), Decoder(sizes)
        self.inner = sizes.inner
        self.words = {"source": sizes.source_words, "target": sizes.target_words}
        if sizes.shared:
            self.encoder.embed.weight = self.decoder.output.weight
            self.decoder.embed.weight = self.decoder.output.weight
        self.activate(hat_choices(sizes).largest)

    def activate(self, arch: Arch) -> None:
        """Run this subnet from now on."""
        self.encoder.activate(arch)
        self.decoder.activate(arch)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Return the logits [batch, steps, words] of what follows each token of a target, for teacher forcing.

        `source` is [batch, length], filled up with PAD at its end; `target` is [batch, steps] and starts with START.
        What fills it up at its end is seen by no earlier token, and its logits mean nothing.
        """
        padding = _padding(source)
        logits: Tensor = self.decoder(target, self.encoder(source, padding), padding)
        return logits

    def taught(self, setting: Setting) -> tuple[TensorSpec, ...]:
        """Return what `forward` takes: `source` [batch, length] and `target` [batch, steps]."""
        assert setting.length and setting.steps, "a space's setting has both"
        source, target = (setting.batch, setting.length), (setting.batch, setting.steps)
        return TensorSpec("source", "int64", source), TensorSpec("target", "int64", target)

    def write(self, source: Tensor, steps: int) -> Tensor:
        """Return the likeliest token at each of `steps` steps [batch, steps], after END nothing but PAD."""
        batch, length = source.shape
        _, part = self.parts(Setting(batch=batch, length=length, steps=steps))
        memory = self.encode(source)
        past = [source.new_zeros(spec.shape, dtype=memory[0].dtype) for spec in part.inputs[2 + len(memory) :]]
        token, ended = source.new_full((batch, 1), START), source.new_zeros((batch, 1), dtype=torch.bool)
        written = source.new_full((batch, steps), PAD)
        for step in range(steps):
            logits, *past = self.step(token, source.new_full((1,), step), *memory, *past)
            token = torch.where(ended, PAD, logits.argmax(dim=-1))
            written[:, step : step + 1] = token
            ended |= token == END
            if ended.all():
                break
        return written

    def encode(self, source: Tensor) -> list[Tensor]:
        """Return all that a step needs of a source [batch, length]: its padding, then keys and values by layer.

        The keys and values of the encoder-decoder attention are the same in each step, so they are computed here. The
        padding is [batch, 1, 1, length]; a layer's keys are [batch, heads, head width, reach * length].
        """
        padding = _padding(source)
        memory = self.decoder.remember(self.encoder(source, padding))
        return [padding, *(tensor for cache in memory for tensor in cache)]

    def step(self, token: Tensor, position: Tensor, padding: Tensor, *caches: Tensor) -> list[Tensor]:
        """Return the logits [batch, 1, words] of what follows a token [batch, 1], then each layer's keys and values.

        `caches` are, for each layer in turn, the keys and values of the encoder-decoder attention as `encode` returns
        them, and after all of those the keys and values of the tokens before `position` [1]; what is returned has this
        token, too, and is given to the next step.
        """
        pairs = [Cache(*caches[at : at + 2]) for at in range(0, len(caches), 2)]
        depth = len(pairs) // 2
        logits, present = self.decoder.step(token, position, padding, pairs[depth:], pairs[:depth])
        return [logits, *(tensor for cache in present for tensor in cache)]

    def parts(self, setting: Setting) -> tuple[Part, ...]:
        """Return the encoder, and one step of the decoder that counts `steps` times.

        Shapes are fixed: a step looks at a past with room for `steps` tokens and blocks what is not written yet, so all
        steps cost the same, as much as the last one of a decoder whose past grows. A source shorter than `length` is
        filled up with PAD.
        """
        assert setting.length and setting.steps, "a space's setting has both"
        batch, length, steps = setting.batch, setting.length, setting.steps
        source = TensorSpec("source", "int64", (batch, length))
        padding = TensorSpec("padding", "float32", (batch, 1, 1, length))
        memory, past, present = [], [], []
        for number, layer in enumerate(self.decoder.active):
            memory += _specs(f"memory_{{}}_{number}", batch, layer.cross.heads, self.inner, layer.reach * length)
            past += _specs(f"past_{{}}_{number}", batch, layer.attention.heads, self.inner, steps)
            present += [f"present_keys_{number}", f"present_values_{number}"]
        token, position = TensorSpec("token", "int64", (batch, 1)), TensorSpec("position", "int64", (1,))
        return (
            Part("encoder", self.encode, (source,), ("padding", *(spec.name for spec in memory))),
            Part("decoder-step", self.step, (token, position, padding, *memory, *past), ("logits", *present), steps),
        )


def _specs(name: str, batch: int, heads: int, inner: int, tokens: int) -> list[TensorSpec]:
    """Return what a cache is outside: its keys and its values."""
    width = inner // heads
    return [
        TensorSpec(name.format("keys"), "float32", (batch, heads, width, tokens)),
        TensorSpec(name.format("values"), "float32", (batch, heads, tokens, width)),
    ]


def _padding(source: Tensor) -> Tensor:
    """Return what is added to the scores [batch, heads, tokens, length] of a source [batch, length]."""
    return torch.where(source == PAD, BLOCKED, 0.0)[:, None, None]
