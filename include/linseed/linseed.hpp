#pragma once

// linseed: neural networks as pure functions of immutable values. This is the table of contents, in the order in which
// data flows. <linseed/xtensor.hpp>, the bridge to xtensor, is included by those who want it.

// clang-format off: the order is that of reading
#include <linseed/core/dtype.hpp>
#include <linseed/core/shape.hpp>
#include <linseed/core/error.hpp>
#include <linseed/core/array.hpp>
#include <linseed/core/executor.hpp>

#include <linseed/tree/tree.hpp>
#include <linseed/tree/pytree.hpp>

#include <linseed/ops/elementwise.hpp>
#include <linseed/ops/reduce.hpp>
#include <linseed/ops/shape.hpp>
#include <linseed/ops/linalg.hpp>
#include <linseed/ops/conv.hpp>
#include <linseed/ops/pool.hpp>

#include <linseed/random/random.hpp>
#include <linseed/random/distributions.hpp>
#include <linseed/random/gamma.hpp>

#include <linseed/transform/grad.hpp>
#include <linseed/transform/jit.hpp>
#include <linseed/transform/program.hpp>

#include <linseed/nn/scope.hpp>
#include <linseed/nn/module.hpp>
#include <linseed/nn/model.hpp>
#include <linseed/nn/initializers.hpp>
#include <linseed/nn/activations.hpp>
#include <linseed/nn/layers.hpp>
#include <linseed/nn/functions.hpp>
#include <linseed/nn/jax_activations.hpp>
#include <linseed/nn/losses.hpp>
#include <linseed/nn/object.hpp>

#include <linseed/optim/hyperparameter.hpp>
#include <linseed/optim/schedules.hpp>
#include <linseed/optim/transform.hpp>
#include <linseed/optim/scaling.hpp>
#include <linseed/optim/moments.hpp>
#include <linseed/optim/clipping.hpp>
#include <linseed/optim/masking.hpp>
#include <linseed/optim/wrappers.hpp>
#include <linseed/optim/optimizers.hpp>

#include <linseed/train/train_state.hpp>
#include <linseed/train/metrics.hpp>
#include <linseed/train/progress.hpp>

#include <linseed/inspect/statistics.hpp>
#include <linseed/inspect/difference.hpp>
#include <linseed/inspect/non_finite.hpp>
#include <linseed/inspect/flops.hpp>
#include <linseed/inspect/tabulate.hpp>

#include <linseed/data/idx.hpp>
#include <linseed/data/fashion_mnist.hpp>
#include <linseed/data/batches.hpp>
#include <linseed/data/padding.hpp>

#include <linseed/train/early_stopping.hpp>
#include <linseed/train/history.hpp>
#include <linseed/train/curves.hpp>
#include <linseed/train/examples.hpp>
#include <linseed/train/fit.hpp>
#include <linseed/train/listeners.hpp>
#include <linseed/train/event_writer.hpp>
