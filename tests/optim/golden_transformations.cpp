#include "optim/golden_transformations.hpp"

#include <linseed/random/random.hpp>

namespace golden_optim {

namespace optim = linseed::optim;
using linseed::Array;
using linseed::Tree;
using optim::GradientTransformation;

namespace {

/// The arguments of one transformation, with what they are when they are not given.
class Arguments {
 public:
  explicit Arguments(const json& args) : args_(args) {}

  template <class T>
  T get(const char* name, T fallback) const {
    return args_.value(name, fallback);
  }
  double number(const char* name) const { return args_.at(name).get<double>(); }
  std::string text(const char* name) const { return args_.at(name).get<std::string>(); }
  std::optional<optim::Scalar> optional(const char* name) const {
    return args_.contains(name) ? std::optional<optim::Scalar>(number(name)) : std::nullopt;
  }
  optim::Schedule schedule(const char* name) const { return rate_of(args_.at(name)); }
  optim::Schedule schedule(const char* name, double fallback) const {
    return args_.contains(name) ? schedule(name) : optim::Schedule(fallback);
  }
  std::optional<optim::Mask> mask(const char* name) const {
    if (!args_.contains(name)) return std::nullopt;
    optim::Mask::Entries entries;
    for (const auto& [path, value] : args_.at(name).at("mask").items()) entries.emplace(path, value.get<bool>());
    return optim::Mask(entries);
  }
  GradientTransformation inner() const { return transformation_of(args_.at("inner")); }
  const json& at(const char* name) const { return args_.at(name); }
  bool contains(const char* name) const { return args_.contains(name); }

 private:
  const json& args_;
};

optim::AdamOptions adam_options(const Arguments& a) {
  return {.b1 = a.get("b1", 0.9),
          .b2 = a.get("b2", 0.999),
          .eps = a.get("eps", 1e-8),
          .eps_root = a.get("eps_root", 0.0),
          .nesterov = a.get("nesterov", false)};
}

/// The named optimizers of Adam's kin.
std::optional<GradientTransformation> adaptive(const std::string& fn, const Arguments& a) {
  if (fn == "adam") return optim::adam(a.schedule("learning_rate"), adam_options(a));
  if (fn == "nadam") return optim::nadam(a.schedule("learning_rate"), adam_options(a));
  if (fn == "amsgrad") return optim::amsgrad(a.schedule("learning_rate"), adam_options(a));
  if (fn == "adamw" || fn == "nadamw") {
    optim::AdamwOptions options{.weight_decay = a.schedule("weight_decay", 1e-4), .mask = a.mask("mask")};
    if (a.get("nesterov", false)) options.nesterov = true;
    return fn == "adamw" ? optim::adamw(a.schedule("learning_rate"), options)
                         : optim::nadamw(a.schedule("learning_rate"), options);
  }
  if (fn == "adamax") {
    return optim::adamax(a.schedule("learning_rate"),
                         {.b1 = a.get("b1", 0.9), .b2 = a.get("b2", 0.999), .eps = a.get("eps", 1e-8)});
  }
  if (fn == "adamaxw") {
    return optim::adamaxw(a.schedule("learning_rate"),
                          {.weight_decay = a.schedule("weight_decay", 1e-4), .mask = a.mask("mask")});
  }
  if (fn == "radam") {
    return optim::radam(a.schedule("learning_rate"), {.b1 = a.get("b1", 0.9),
                                                      .b2 = a.get("b2", 0.999),
                                                      .eps = a.get("eps", 1e-8),
                                                      .eps_root = a.get("eps_root", 0.0),
                                                      .threshold = a.get("threshold", 5.0),
                                                      .nesterov = a.get("nesterov", false)});
  }
  if (fn == "adabelief") {
    return optim::adabelief(a.schedule("learning_rate"), {.b2 = a.get("b2", 0.999),
                                                          .eps = a.get("eps", 1e-16),
                                                          .eps_root = a.get("eps_root", 1e-16),
                                                          .nesterov = a.get("nesterov", false)});
  }
  if (fn == "yogi") return optim::yogi(a.schedule("learning_rate"));
  if (fn == "lion") {
    return optim::lion(a.schedule("learning_rate"), {.b1 = a.get("b1", 0.9),
                                                     .b2 = a.get("b2", 0.99),
                                                     .weight_decay = a.schedule("weight_decay", 1e-3),
                                                     .mask = a.mask("mask")});
  }
  if (fn == "lamb") {
    return optim::lamb(a.schedule("learning_rate"),
                       {.weight_decay = a.schedule("weight_decay", 0.0), .mask = a.mask("mask")});
  }
  return std::nullopt;
}

/// The other named optimizers.
std::optional<GradientTransformation> optimizer(const std::string& fn, const Arguments& a) {
  if (fn == "sgd") {
    return optim::sgd(a.schedule("learning_rate"),
                      {.momentum = a.optional("momentum"), .nesterov = a.get("nesterov", false)});
  }
  if (fn == "rmsprop") {
    return optim::rmsprop(a.schedule("learning_rate"), {.decay = a.get("decay", 0.9),
                                                        .eps = a.get("eps", 1e-8),
                                                        .initial_scale = a.get("initial_scale", 0.0),
                                                        .eps_in_sqrt = a.get("eps_in_sqrt", true),
                                                        .centered = a.get("centered", false),
                                                        .momentum = a.optional("momentum"),
                                                        .nesterov = a.get("nesterov", false),
                                                        .bias_correction = a.get("bias_correction", false)});
  }
  if (fn == "adagrad") {
    return optim::adagrad(
        a.schedule("learning_rate"),
        {.initial_accumulator_value = a.get("initial_accumulator_value", 0.1), .eps = a.get("eps", 1e-7)});
  }
  if (fn == "adadelta") {
    const auto rate =
        a.contains("learning_rate") ? std::optional(a.schedule("learning_rate")) : std::optional<optim::Schedule>();
    return optim::adadelta(rate, {.rho = a.get("rho", 0.9),
                                  .eps = a.get("eps", 1e-6),
                                  .weight_decay = a.schedule("weight_decay", 0.0),
                                  .weight_decay_mask = a.mask("weight_decay_mask")});
  }
  if (fn == "lars") {
    optim::LarsOptions options{.weight_decay = a.schedule("weight_decay", 0.0),
                               .trust_coefficient = a.get("trust_coefficient", 1e-3),
                               .eps = a.get("eps", 0.0),
                               .momentum = a.get("momentum", 0.9),
                               .nesterov = a.get("nesterov", false)};
    if (a.contains("weight_decay_mask")) options.weight_decay_mask = *a.mask("weight_decay_mask");
    if (a.contains("trust_ratio_mask")) options.trust_ratio_mask = *a.mask("trust_ratio_mask");
    return optim::lars(a.schedule("learning_rate"), options);
  }
  if (fn == "sign_sgd") return optim::sign_sgd(a.schedule("learning_rate"));
  if (fn == "signum") return optim::signum(a.schedule("learning_rate"), a.get("beta", 0.9));
  if (fn == "fromage") return optim::fromage(a.schedule("learning_rate"), a.get("min_norm", 1e-6));
  if (fn == "optimistic_gradient_descent")
    return optim::optimistic_gradient_descent(a.schedule("learning_rate"), a.number("alpha"), a.number("beta"));
  return std::nullopt;
}

/// The rarer ones.
std::optional<GradientTransformation> further(const std::string& fn, const Arguments& a) {
  if (fn == "adan") {
    return optim::adan(a.schedule("learning_rate"), {.b1 = a.get("b1", 0.98),
                                                     .b2 = a.get("b2", 0.92),
                                                     .b3 = a.get("b3", 0.99),
                                                     .eps = a.get("eps", 1e-8),
                                                     .eps_root = a.get("eps_root", 1e-8),
                                                     .weight_decay = a.schedule("weight_decay", 0.0)});
  }
  if (fn == "novograd") {
    return optim::novograd(a.schedule("learning_rate"), {.b1 = a.get("b1", 0.9),
                                                         .b2 = a.get("b2", 0.25),
                                                         .eps = a.get("eps", 1e-6),
                                                         .eps_root = a.get("eps_root", 0.0),
                                                         .weight_decay = a.get("weight_decay", 0.0)});
  }
  if (fn == "rprop") {
    return optim::rprop(a.number("learning_rate"), {.eta_minus = a.get("eta_minus", 0.5),
                                                    .eta_plus = a.get("eta_plus", 1.2),
                                                    .min_step_size = a.get("min_step_size", 1e-6),
                                                    .max_step_size = a.get("max_step_size", 50.0)});
  }
  if (fn == "optimistic_adam_v2") {
    optim::AdamOptions options = adam_options(a);
    options.nesterov = a.get("nesterov", true);
    return optim::optimistic_adam_v2(a.schedule("learning_rate"), a.get("alpha", 1.0), a.get("beta", 1.0), options);
  }
  if (fn == "optimistic_adam") {
    optim::AdamOptions options = adam_options(a);
    options.nesterov = a.get("nesterov", true);
    return optim::optimistic_adam(a.number("learning_rate"), a.optional("optimism"), options);
  }
  if (fn == "noisy_sgd") {
    return optim::noisy_sgd(a.schedule("learning_rate"), linseed::random::key(a.get("key", 0)), a.get("eta", 0.01),
                            a.get("gamma", 0.55));
  }
  if (fn == "adafactor") {
    optim::AdafactorOptions options{.min_dim_size_to_factor = a.get("min_dim_size_to_factor", 128),
                                    .decay_rate = a.get("decay_rate", 0.8),
                                    .multiply_by_parameter_scale = a.get("multiply_by_parameter_scale", true),
                                    .momentum = a.optional("momentum"),
                                    .eps = a.get("eps", 1e-30),
                                    .factored = a.get("factored", true)};
    if (a.contains("weight_decay_rate")) options.weight_decay_rate = a.schedule("weight_decay_rate");
    if (a.contains("clipping_threshold")) {
      options.clipping_threshold.reset();
      if (!a.at("clipping_threshold").is_null()) options.clipping_threshold = a.number("clipping_threshold");
    }
    const auto rate =
        a.contains("learning_rate") ? std::optional(a.schedule("learning_rate")) : std::optional<optim::Schedule>();
    return optim::adafactor(rate, options);
  }
  return std::nullopt;
}

/// One stage of a chain.
std::optional<GradientTransformation> stage(const std::string& fn, const Arguments& a) {
  if (fn == "clip") return optim::clip(a.number("max_delta"));
  if (fn == "clip_by_global_norm") return optim::clip_by_global_norm(a.number("max_norm"));
  if (fn == "clip_by_block_rms") return optim::clip_by_block_rms(a.number("threshold"));
  if (fn == "adaptive_grad_clip") return optim::adaptive_grad_clip(a.number("clipping"));
  if (fn == "centralize") return optim::centralize();
  if (fn == "zero_nans") return optim::zero_nans();
  if (fn == "keep_params_nonnegative") return optim::keep_params_nonnegative();
  if (fn == "normalize_by_update_norm") return optim::normalize_by_update_norm(a.number("scale_factor"));
  if (fn == "scale_by_param_block_norm") return optim::scale_by_param_block_norm(a.number("min_scale"));
  if (fn == "scale_by_param_block_rms") return optim::scale_by_param_block_rms();
  if (fn == "ema") return optim::ema(a.number("decay"), a.get("debias", true));
  if (fn == "add_decayed_weights") return optim::add_decayed_weights(a.schedule("weight_decay"));
  if (fn == "scale_by_schedule") return optim::scale_by_schedule(a.schedule("step_size_fn"));
  if (fn == "apply_every") return optim::apply_every(a.get("k", 1));
  if (fn == "add_noise")
    return optim::add_noise(a.number("eta"), a.number("gamma"), linseed::random::key(a.get("key", 0)));
  if (fn == "set_to_zero") return optim::set_to_zero();
  return std::nullopt;
}

Array every_second(const Array& step) { return linseed::mod(step, 2) == 0; }

/// The hyper-parameters that Optax injects: all numbers, given or not.
GradientTransformation injected(const std::string& factory, const json& given) {
  std::map<std::string, optim::Schedule> values;
  for (const auto& [name, value] : given.items()) values.emplace(name, rate_of(value));
  if (factory == "sgd") {
    return optim::inject_hyperparams(
        [](const Tree& h) { return optim::sgd(h["learning_rate"], {.momentum = h["momentum"]}); }, values);
  }
  REQUIRE(factory == "adam");
  for (const auto& [name, value] :
       std::map<std::string, double>{{"b1", 0.9}, {"b2", 0.999}, {"eps", 1e-8}, {"eps_root", 0.0}})
    values.emplace(name, value);
  return optim::inject_hyperparams(
      [](const Tree& h) {
        return optim::adam(h["learning_rate"],
                           {.b1 = h["b1"], .b2 = h["b2"], .eps = h["eps"], .eps_root = h["eps_root"]});
      },
      values);
}

GradientTransformation wrapper(const std::string& fn, const Arguments& a) {
  if (fn == "chain") {
    std::vector<GradientTransformation> members;
    for (const json& member : a.at("members")) members.push_back(transformation_of(member));
    return optim::chain(members);
  }
  if (fn == "named_chain") {
    std::vector<std::pair<std::string, GradientTransformation>> members;
    for (const json& member : a.at("members"))
      members.emplace_back(member.at(0).get<std::string>(), transformation_of(member.at(1)));
    return optim::named_chain(members);
  }
  if (fn == "masked") return optim::masked(a.inner(), *a.mask("mask"));
  if (fn == "freeze") return optim::freeze(*a.mask("mask"));
  if (fn == "selective_transform") return optim::selective_transform(a.inner(), *a.mask("mask"));
  if (fn == "multi_transform") {
    std::map<std::string, GradientTransformation> transforms;
    for (const auto& [label, member] : a.at("transforms").items()) transforms.emplace(label, transformation_of(member));
    optim::Labels::Entries labels;
    for (const auto& [path, label] : a.at("labels").at("labels").items()) labels.emplace(path, label);
    return optim::multi_transform(transforms, optim::Labels(labels));
  }
  if (fn == "multi_steps") {
    optim::MultiStepsOptions options{.use_grad_mean = a.get("use_grad_mean", true)};
    if (a.contains("should_skip")) {
      options.should_skip_update = a.text("should_skip") == "skip_not_finite"
                                       ? optim::ShouldSkip(optim::skip_not_finite)
                                       : optim::skip_large_updates(2.5);
    }
    return optim::multi_steps(a.inner(), a.schedule("every_k"), options);
  }
  if (fn == "apply_if_finite") return optim::apply_if_finite(a.inner(), a.get("max_consecutive_errors", 0));
  if (fn == "conditionally_transform") return optim::conditionally_transform(a.inner(), every_second);
  if (fn == "conditionally_mask") return optim::conditionally_mask(a.inner(), every_second);
  REQUIRE(fn == "inject_hyperparams");
  return injected(a.text("factory"), a.at("hyperparams"));
}

}  // namespace

GradientTransformation transformation_of(const json& spec) {
  const std::string fn = spec.at("fn").get<std::string>();
  const Arguments arguments(spec.at("args"));
  if (const auto made = adaptive(fn, arguments)) return *made;
  if (const auto made = optimizer(fn, arguments)) return *made;
  if (const auto made = further(fn, arguments)) return *made;
  if (const auto made = stage(fn, arguments)) return *made;
  return wrapper(fn, arguments);
}

}  // namespace golden_optim
