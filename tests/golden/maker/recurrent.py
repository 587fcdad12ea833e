"""recurrent.json: cells, and the layers that apply them along time."""

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jax import random

from .call import call
from .encode import random_numbers

LSTM = ("LSTMCell", "OptimizedLSTMCell", "ConvLSTMCell")


def cell(label, kind, config, shape, carry_shape):
    """Inputs: the carry, one or two Arrays, and x. Outputs: the new carry and the output."""
    name = f"{kind}/{label}"
    shapes = [carry_shape] * (2 if kind in LSTM else 1) + [shape]
    arrays = [random_numbers(f"{name}:{i}", s) for i, s in enumerate(shapes)]

    def body(*given):
        carry = given[:2] if kind in LSTM else given[0]
        return getattr(nn, kind)(**config)(carry, given[-1])

    return call(name, kind, config, body, arrays)


def cells():
    for kind in ("LSTMCell", "OptimizedLSTMCell", "GRUCell", "MGUCell", "SimpleCell"):
        yield cell("batch", kind, {"features": 3}, (2, 4), (2, 3))
        yield cell("no_batch", kind, {"features": 2}, (3,), (2,))
    yield cell("no_reset", "MGUCell", {"features": 2, "reset_gate": False}, (2, 3), (2, 2))
    yield cell("residual", "SimpleCell", {"features": 2, "residual": True}, (2, 3), (2, 2))
    conv = {"features": 2, "kernel_size": (2, 3)}
    yield cell("batch", "ConvLSTMCell", conv, (1, 3, 3, 1), (1, 3, 3, 2))
    yield cell("no_bias", "ConvLSTMCell", {**conv, "use_bias": False}, (1, 3, 2, 2), (1, 3, 2, 2))


def rnn(label, kind, options, shape, *, features=2, lengths=None, carry=False, cell_options=None):
    """Inputs: x, then the lengths where there are some. Outputs: the last carry when `carry`, the outputs."""
    name = f"RNN/{label}"
    inputs = [random_numbers(name, shape)]
    if lengths is not None:
        inputs.append(np.array(lengths, np.int32))
    inner = {"features": features, **(cell_options or {})}

    def body(x, lengths=None):
        return nn.RNN(getattr(nn, kind)(**inner), return_carry=carry, **options)(x, seq_lengths=lengths)

    cell_config = {k: list(v) if isinstance(v, tuple) else v for k, v in inner.items()}
    extra = {"cell": kind, "cell_config": cell_config, "carry": carry}
    return call(name, "RNN", options, body, inputs, extra=extra)


def rnns():
    yield rnn("lstm", "LSTMCell", {}, (2, 3, 2))
    yield rnn("lstm_carry", "LSTMCell", {}, (2, 3, 2), carry=True)
    yield rnn("optimized_lengths", "OptimizedLSTMCell", {}, (3, 4, 2), lengths=[4, 1, 2], carry=True)
    yield rnn("gru_no_batch", "GRUCell", {}, (3, 2), carry=True)
    yield rnn("gru_time_major", "GRUCell", {"time_major": True}, (3, 2, 2))
    by_time = {"time_major": True, "reverse": True}
    yield rnn("gru_time_major_lengths", "GRUCell", by_time, (3, 2, 2), lengths=[3, 2], carry=True)
    yield rnn("simple_reverse", "SimpleCell", {"reverse": True}, (2, 3, 2), carry=True)
    yield rnn("simple_reverse_keep", "SimpleCell", {"reverse": True, "keep_order": True}, (2, 3, 2))
    yield rnn("simple_reverse_lengths", "SimpleCell", {"reverse": True}, (2, 3, 2), lengths=[1, 3], carry=True)
    yield rnn("simple_keep_lengths", "SimpleCell", {"reverse": True, "keep_order": True}, (2, 3, 2), lengths=[2, 3])
    yield rnn("simple_zero_length", "SimpleCell", {}, (2, 3, 1), lengths=[0, 3], carry=True)
    yield rnn("two_batch_dims", "SimpleCell", {}, (2, 2, 2, 1))
    yield rnn("mgu", "MGUCell", {}, (1, 3, 2))
    yield rnn("conv_lstm", "ConvLSTMCell", {}, (1, 2, 3, 1), features=1, cell_options={"kernel_size": (2,)})
    name = "RNN/root"
    yield call(name, "RNN", {}, None, [random_numbers(name, (2, 3, 2))], module=nn.RNN(nn.GRUCell(2)),
               extra={"cell": "GRUCell", "cell_config": {"features": 2}, "carry": False, "root": True})


def bidirectional():
    for label, lengths, carry in (("plain", None, False), ("lengths_carry", [3, 1], True)):
        name = f"Bidirectional/{label}"
        inputs = [random_numbers(name, (2, 3, 2))]
        if lengths:
            inputs.append(np.array(lengths, np.int32))

        def body(x, lengths=None, carry=carry):
            forward, backward = nn.RNN(nn.GRUCell(2)), nn.RNN(nn.LSTMCell(3))
            return nn.Bidirectional(forward, backward, return_carry=carry)(x, seq_lengths=lengths)

        yield call(name, "Bidirectional", {}, body, inputs, extra={"carry": carry})
    name = "Bidirectional/root"
    module = nn.Bidirectional(nn.RNN(nn.GRUCell(2)), nn.RNN(nn.LSTMCell(3)), merge_fn=lambda a, b: a[..., :1] + b)
    yield call(name, "Bidirectional", {}, None, [random_numbers(name, (1, 2, 2))], module=module,
               extra={"carry": False, "root": True})


def initial_carries():
    """Carries drawn rather than zero, and one that is given."""
    init = {"carry_init": nn.initializers.normal(1.0)}
    name = "initial_carry/drawn"
    x = random_numbers(name, (2, 2, 2))
    yield call(name, "initial_carry", {}, lambda x: nn.RNN(nn.LSTMCell(2, **init))(x), [x])
    name = "initial_carry/init_key"
    yield call(name, "initial_carry", {}, lambda x: nn.RNN(nn.SimpleCell(2, **init))(x, init_key=random.key(3)),
               [random_numbers(name, (2, 2, 2))])
    name = "initial_carry/bidirectional_key"

    def both(x):
        rnns = [nn.RNN(nn.SimpleCell(2, **init)) for _ in range(2)]
        return nn.Bidirectional(*rnns)(x, init_key=random.key(3))

    yield call(name, "initial_carry", {}, both, [random_numbers(name, (2, 2, 2))])
    name = "initial_carry/given"
    yield call(name, "initial_carry", {}, lambda x, h: nn.RNN(nn.SimpleCell(2))(x, initial_carry=h),
               [random_numbers(name, (2, 2, 2)), random_numbers(f"{name}:h", (2, 2))])


def recurrent_cases():
    for family in (cells, rnns, bidirectional, initial_carries):
        yield from family()
