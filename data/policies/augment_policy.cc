#include "retort/data/policies/augment_policy.h"

#include <cmath>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"

#include "retort/data/draws.h"
#include "retort/data/policies/auto_augment_pairs.h"

namespace retort::data {
namespace {

using config::AugmentStep;
using config::AutoAugment;
using Op = AugmentOp;

constexpr int kAugMixLevels = 10;

// Of RandAugment and TrivialAugment.
constexpr Op kOps[] = {Op::kIdentity,  Op::kShearX,     Op::kShearY,       Op::kTranslateX, Op::kTranslateY,
                       Op::kRotate,    Op::kBrightness, Op::kColor,        Op::kContrast,   Op::kSharpness,
                       Op::kPosterize, Op::kSolarize,   Op::kAutocontrast, Op::kEqualize};
// Of AugMix; the last four only with all_ops.
constexpr Op kMixOps[] = {Op::kShearX,    Op::kShearY,   Op::kTranslateX,   Op::kTranslateY, Op::kRotate,
                          Op::kPosterize, Op::kSolarize, Op::kAutocontrast, Op::kEqualize,   Op::kBrightness,
                          Op::kColor,     Op::kContrast, Op::kSharpness};
constexpr size_t kFewMixOps = 9;

// In f32, as torch draws it.
template <typename Interval>
double DrawWithin(const Interval& interval, Draws& draws) {
  return static_cast<float>(interval.min() + (interval.max() - interval.min()) * draws.Uniform());
}

using Chain = std::vector<AugmentChoice>;

Chain DrawAutoAugment(const AutoAugment& config, Draws& draws, int64_t height, int64_t width) {
  const absl::Span<const AutoAugmentPair> pairs = PairsOf(config.policy());
  Chain chain;
  for (const AutoAugmentOp& one : pairs[static_cast<size_t>(draws.Index(pairs.size()))]) {
    const bool used = draws.Uniform() < one.probability;
    const bool negative = draws.Coin();
    const int level = config.has_magnitude() ? config.magnitude() : one.level;
    if (used) {
      chain.push_back(AtLevel(one.op, AugmentSpace::kStandard, level, kAutoAugmentLevels, negative, height, width));
    }
  }
  return chain;
}

Chain DrawRandAugment(const config::RandAugment& config, Draws& draws, int64_t height, int64_t width) {
  Chain chain;
  for (int i = 0; i < config.num_ops(); ++i) {
    const Op op = kOps[draws.Index(std::size(kOps))];
    chain.push_back(AtLevel(op, AugmentSpace::kStandard, config.magnitude(), config.num_magnitude_bins(), draws.Coin(),
                            height, width));
  }
  return chain;
}

Chain DrawTrivialAugment(const config::TrivialAugment& config, Draws& draws, int64_t height, int64_t width) {
  const Op op = kOps[draws.Index(std::size(kOps))];
  const int drawn = draws.Index(static_cast<size_t>(config.num_magnitude_bins()));
  const int bin = config.has_magnitude() ? config.magnitude() : drawn;
  return {AtLevel(op, AugmentSpace::kWide, bin, config.num_magnitude_bins(), draws.Coin(), height, width)};
}

AugmentPolicy::Drawn DrawAugMix(const config::AugMix& config, Draws& draws, int64_t height, int64_t width) {
  AugmentPolicy::Drawn drawn;
  // torchvision's weights are f32.
  const std::vector<double> shares = draws.Dirichlet(config.alpha(), 2);
  drawn.weights.push_back(static_cast<float>(shares[0]));
  for (const double weight : draws.Dirichlet(config.alpha(), config.mixture_width())) {
    drawn.weights.push_back(static_cast<float>(weight) * static_cast<float>(shares[1]));
  }
  for (int k = 0; k < config.mixture_width(); ++k) {
    Chain& chain = drawn.chains.emplace_back();
    const int depth = config.chain_depth() > 0 ? config.chain_depth() : 1 + draws.Index(3);
    for (int i = 0; i < depth; ++i) {
      const Op op = kMixOps[draws.Index(config.all_ops() ? std::size(kMixOps) : kFewMixOps)];
      const int level = draws.Index(static_cast<size_t>(config.severity()));
      chain.push_back(AtLevel(op, AugmentSpace::kMix, config.has_magnitude() ? config.magnitude() : level,
                              kAugMixLevels, draws.Coin(), height, width));
    }
  }
  return drawn;
}

Chain DrawColorJitter(const config::ColorJitter& config, Draws& draws) {
  Chain chain;
  if (config.has_brightness()) chain.push_back({Op::kBrightness, DrawWithin(config.brightness(), draws)});
  if (config.has_contrast()) chain.push_back({Op::kContrast, DrawWithin(config.contrast(), draws)});
  if (config.has_saturation()) chain.push_back({Op::kColor, DrawWithin(config.saturation(), draws)});
  if (config.has_hue()) chain.push_back({Op::kHue, DrawWithin(config.hue(), draws)});
  for (size_t left = chain.size(); left > 1; --left) {
    std::swap(chain[left - 1], chain[static_cast<size_t>(draws.Index(left))]);
  }
  return chain;
}

// An error unless least <= value <= greatest; NaN is an error, too.
absl::Status CheckWithin(absl::string_view field, double value, double least, double greatest) {
  if (value >= least && value <= greatest) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat("%s is %g; permitted are %g..%g", field, value, least, greatest));
}

template <typename Interval>
absl::Status CheckInterval(absl::string_view field, bool given, const Interval& interval, double least,
                           double greatest) {
  if (!given) return absl::OkStatus();
  if (absl::Status status = CheckWithin(absl::StrFormat("%s.min", field), interval.min(), least, greatest);
      !status.ok()) {
    return status;
  }
  return CheckWithin(absl::StrFormat("%s.max", field), interval.max(), interval.min(), greatest);
}

absl::Status First(std::initializer_list<absl::Status> statuses) {
  for (const absl::Status& status : statuses) {
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Check(const AugmentStep& step) {
  switch (step.step_case()) {
    case AugmentStep::kAutoAugment:
      return CheckWithin("auto_augment.magnitude", step.auto_augment().magnitude(), 0, kAutoAugmentLevels - 1);
    case AugmentStep::kRandAugment: {
      const config::RandAugment& config = step.rand_augment();
      return First({CheckWithin("rand_augment.num_ops", config.num_ops(), 1, 16),
                    CheckWithin("rand_augment.num_magnitude_bins", config.num_magnitude_bins(), 2, 1000),
                    CheckWithin("rand_augment.magnitude", config.magnitude(), 0, config.num_magnitude_bins() - 1)});
    }
    case AugmentStep::kTrivialAugment: {
      const config::TrivialAugment& config = step.trivial_augment();
      return First({CheckWithin("trivial_augment.num_magnitude_bins", config.num_magnitude_bins(), 2, 1000),
                    CheckWithin("trivial_augment.magnitude", config.magnitude(), 0, config.num_magnitude_bins() - 1)});
    }
    case AugmentStep::kAugMix: {
      const config::AugMix& config = step.aug_mix();
      return First({CheckWithin("aug_mix.severity", config.severity(), 1, kAugMixLevels),
                    CheckWithin("aug_mix.mixture_width", config.mixture_width(), 1, 16),
                    CheckWithin("aug_mix.chain_depth", config.chain_depth(), -1, 16),
                    CheckWithin("aug_mix.alpha", config.alpha(), 0.01, 1000),
                    CheckWithin("aug_mix.magnitude", config.magnitude(), 0, kAugMixLevels - 1)});
    }
    case AugmentStep::kColorJitter: {
      const config::ColorJitter& config = step.color_jitter();
      return First({CheckInterval("color_jitter.brightness", config.has_brightness(), config.brightness(), 0, 100),
                    CheckInterval("color_jitter.contrast", config.has_contrast(), config.contrast(), 0, 100),
                    CheckInterval("color_jitter.saturation", config.has_saturation(), config.saturation(), 0, 100),
                    CheckInterval("color_jitter.hue", config.has_hue(), config.hue(), -0.5, 0.5)});
    }
    case AugmentStep::kRandomResizedCrop:
    case AugmentStep::kResize:
    case AugmentStep::kCenterCrop:
    case AugmentStep::kCrop:
    case AugmentStep::kFlip:
    case AugmentStep::kCutout:
    case AugmentStep::kRandomErasing:
    case AugmentStep::kMixup:
    case AugmentStep::kCutMix:
    case AugmentStep::STEP_NOT_SET:
      break;
  }
  return absl::InvalidArgumentError(
      "not a policy; give auto_augment, rand_augment, trivial_augment, aug_mix or color_jitter");
}

}  // namespace

absl::StatusOr<AugmentPolicy> AugmentPolicy::Create(const AugmentStep& step) {
  if (absl::Status status = Check(step); !status.ok()) return status;
  return AugmentPolicy(step);
}

int AugmentPolicy::chains() const { return mixes() ? step_.aug_mix().mixture_width() : 1; }

int AugmentPolicy::longest_chain() const {
  if (step_.has_auto_augment()) return 2;
  if (step_.has_rand_augment()) return step_.rand_augment().num_ops();
  if (step_.has_trivial_augment()) return 1;
  if (step_.has_color_jitter()) return 4;
  return step_.aug_mix().chain_depth() > 0 ? step_.aug_mix().chain_depth() : 3;
}

AugmentPolicy::Drawn AugmentPolicy::Draw(uint64_t seed, int64_t image, int64_t view, int64_t height,
                                         int64_t width) const {
  Draws draws(seed, image, view, static_cast<uint32_t>(step_.step_case()));
  if (step_.has_aug_mix()) return DrawAugMix(step_.aug_mix(), draws, height, width);
  Chain chain;
  if (step_.has_auto_augment()) {
    chain = DrawAutoAugment(step_.auto_augment(), draws, height, width);
  } else if (step_.has_rand_augment()) {
    chain = DrawRandAugment(step_.rand_augment(), draws, height, width);
  } else if (step_.has_trivial_augment()) {
    chain = DrawTrivialAugment(step_.trivial_augment(), draws, height, width);
  } else {
    chain = DrawColorJitter(step_.color_jitter(), draws);
  }
  return {{std::move(chain)}, {}};
}

}  // namespace retort::data
