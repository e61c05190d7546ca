#include "retort/data/procedural.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "retort/data/io/status_macros.h"
#include "retort/data/philox.h"

namespace retort::data {
namespace {

// How hard the task is. Lengths are in 1/256 pixel, colours in 0..255, chances in percent.
constexpr int kUnit = 256;
constexpr int kSmallestRadius = 9 * kUnit;
constexpr int kLargestRadius = 13 * kUnit;
// Of the shape's centre from the image's.
constexpr int kLargestShift = 5 * kUnit;
// Of the shorter axis to the longer one, in percent.
constexpr int kStrongestSqueeze = 75;
// Sum over the channels of the difference between shape and background.
constexpr int kLeastContrast = 130;
constexpr int kMostContrast = 360;
// Of each channel within a texture.
constexpr int kTextureSpan = 50;
constexpr int kMostDistractors = 3;
constexpr int kSmallestDistractor = 2 * kUnit;
constexpr int kLargestDistractor = 5 * kUnit;
// A bar of background over the shape.
constexpr int kOccluderChance = 30;
constexpr int kOccluderWidth = 2 * kUnit;
// Width of an edge.
constexpr int kSharpest = 1 * kUnit;
constexpr int kSoftest = 3 * kUnit;
// Pixel noise is the difference of two uniform values up to this.
constexpr int kMostNoise = 36;
// Brightness of the whole image, in percent.
constexpr int kDarkest = 55;

constexpr int kSide = 32;
constexpr int kChannels = 3;

enum class Shape { kDisc, kRing, kSquare, kFrame, kTriangle, kCross, kStar, kCrescent, kStripes, kChecker };
constexpr int kShapes = 10;
constexpr const char* kShapeNames[kShapes] = {"disc",  "ring", "square",   "frame",   "triangle",
                                              "cross", "star", "crescent", "stripes", "checker"};

// Last words of the Philox counter, so that no other use of a seed sees the same numbers.
enum class Part : uint32_t { kTrain = 0x50524f43, kTest = 0x50524f44 };

// The random numbers of one image, one after the other.
class Draws {
 public:
  Draws(uint64_t seed, Part part, int64_t image)
      : seed_(seed), part_(static_cast<uint32_t>(part)), image_(static_cast<uint64_t>(image)) {}

  // 16 bits.
  int Bits() {
    if (left_ == 0) {
      words_ = Philox(seed_, image_, block_++, part_);
      left_ = 8;
    }
    --left_;
    return static_cast<int>(words_[static_cast<size_t>(left_ / 4)] >> (16 * (left_ % 4)) & 0xffff);
  }

  // Both ends included; at most 2^16 values.
  int Between(int low, int high) { return low + ((high - low + 1) * Bits() >> 16); }

  bool Chance(int percent) { return Between(0, 99) < percent; }

 private:
  uint64_t seed_;
  uint32_t part_;
  uint64_t image_;
  uint32_t block_ = 0;
  int left_ = 0;
  PhiloxBits words_ = {};
};

struct Point {
  int x;
  int y;
};

// Rounded down. IEEE 754 demands a correctly rounded square root, so this is exact.
int Length(Point p) {
  const int64_t square = static_cast<int64_t>(p.x) * p.x + static_cast<int64_t>(p.y) * p.y;
  return static_cast<int>(std::sqrt(static_cast<double>(square)));
}

// A unit vector of any direction, times 2^14.
constexpr int kDirectionShift = 14;
Point Direction(Draws& draws) {
  while (true) {
    const Point p = {draws.Between(-16384, 16384), draws.Between(-16384, 16384)};
    const int length = Length(p);
    if (length < 4096 || length > 16384) continue;
    return {p.x * (1 << kDirectionShift) / length, p.y * (1 << kDirectionShift) / length};
  }
}

// Component of `p` along `direction`, and that along its normal.
Point Turn(Point p, Point direction) {
  return {(p.x * direction.x + p.y * direction.y) >> kDirectionShift,
          (p.y * direction.x - p.x * direction.y) >> kDirectionShift};
}

// Distance from the nearest edge of bars of `width`, `width` apart, the middle of one at 0; positive within a bar.
int Bars(int x, int width) {
  const int phase = (std::abs(x) + width / 2) % (2 * width);
  return phase < width ? std::min(phase, width - phase) : -std::min(phase - width, 2 * width - phase);
}

int SquareDistance(Point p, int half) { return half - std::max(std::abs(p.x), std::abs(p.y)); }

// About the distance of `p` from the edge of a shape of radius `r` around 0; positive inside.
int SignedDistance(Shape shape, Point p, int r) {
  switch (shape) {
    case Shape::kDisc:
      return r * 9 / 10 - Length(p);
    case Shape::kRing:
      return std::min(r - Length(p), Length(p) - r * 55 / 100);
    case Shape::kSquare:
      return SquareDistance(p, r * 8 / 10);
    case Shape::kFrame:
      return std::min(SquareDistance(p, r * 85 / 100), -SquareDistance(p, r * 45 / 100));
    case Shape::kTriangle: {
      // Three half-planes with normals at 90, 210 and 330 degrees.
      const int slant = 14189 * std::abs(p.x) >> kDirectionShift;
      return std::min(r * 55 / 100 - p.y, r * 55 / 100 - slant + p.y / 2);
    }
    case Shape::kCross: {
      const int across = std::abs(p.x), along = std::abs(p.y), width = r * 3 / 10;
      return std::max(std::min(width - across, r - along), std::min(width - along, r - across));
    }
    case Shape::kStar: {
      // A pentagram is where at least four of five half-planes overlap.
      static constexpr Point kNormals[5] = {{0, 16384}, {15582, 5063}, {9630, -13255}, {-9630, -13255}, {-15582, 5063}};
      std::array<int, 5> inside;
      for (size_t i = 0; i < 5; ++i) inside[i] = r * 34 / 100 - Turn(p, kNormals[i]).x;
      std::nth_element(inside.begin(), inside.begin() + 1, inside.end());
      return inside[1];
    }
    case Shape::kCrescent:
      return std::min(r - Length(p), Length({p.x - r / 2, p.y}) - r * 8 / 10);
    case Shape::kStripes:
      return std::min(SquareDistance(p, r * 85 / 100), Bars(p.x, r * 34 / 100));
    case Shape::kChecker: {
      const int u = Bars(p.x + r * 21 / 100, r * 42 / 100), v = Bars(p.y + r * 21 / 100, r * 42 / 100);
      const int edge = std::min(std::abs(u), std::abs(v));
      return std::min(SquareDistance(p, r * 84 / 100), (u < 0) == (v < 0) ? edge : -edge);
    }
  }
  __builtin_unreachable();
}

using Color = std::array<int, kChannels>;

Color RandomColor(Draws& draws) { return {draws.Between(20, 235), draws.Between(20, 235), draws.Between(20, 235)}; }

// A colour that can be told from `other`, but not with too much ease.
Color ContrastingColor(Draws& draws, const Color& other) {
  while (true) {
    const Color color = RandomColor(draws);
    int contrast = 0;
    for (size_t c = 0; c < kChannels; ++c) contrast += std::abs(color[c] - other[c]);
    if (contrast >= kLeastContrast && contrast <= kMostContrast) return color;
  }
}

// Two colours, mixed by values on a grid of 4 pixels between which they are interpolated: clouds, or, where the values
// depend on the place, a gradient.
class Texture {
 public:
  Texture(Draws& draws, const Color& color) : from_(color), to_(color) {
    for (int& channel : to_) channel += draws.Between(-kTextureSpan, kTextureSpan);
    const bool gradient = draws.Chance(50);
    const Point direction = Direction(draws);
    for (int y = 0; y < kGrid; ++y) {
      for (int x = 0; x < kGrid; ++x) {
        const int along = Turn({16 * (2 * x - kGrid + 1), 16 * (2 * y - kGrid + 1)}, direction).x;
        grid_[static_cast<size_t>(y * kGrid + x)] = gradient ? std::clamp(128 + along, 0, 256) : draws.Between(0, 256);
      }
    }
  }

  Color At(int x, int y) const {
    const int* const corner = &grid_[static_cast<size_t>(y / kCell * kGrid + x / kCell)];
    const int fx = x % kCell, fy = y % kCell;
    const int mix = ((kCell - fy) * ((kCell - fx) * corner[0] + fx * corner[1]) +
                     fy * ((kCell - fx) * corner[kGrid] + fx * corner[kGrid + 1])) /
                    (kCell * kCell);
    Color color;
    for (size_t c = 0; c < kChannels; ++c) color[c] = from_[c] + (to_[c] - from_[c]) * mix / 256;
    return color;
  }

 private:
  static constexpr int kCell = 4;
  static constexpr int kGrid = kSide / kCell + 1;

  Color from_;
  Color to_;
  std::array<int, kGrid * kGrid> grid_;
};

// What is painted so far, row-major.
using Canvas = std::array<Color, kSide * kSide>;

// Paints where `distance(point)` is positive, over an edge as wide as `softness`.
template <typename Distance>
void Paint(Canvas& canvas, const Texture& texture, int softness, const Distance& distance) {
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) {
      const int cover =
          std::clamp(128 + distance(Point{x * kUnit + kUnit / 2, y * kUnit + kUnit / 2}) * 256 / softness, 0, 256);
      if (cover == 0) continue;
      const Color color = texture.At(x, y);
      Color& pixel = canvas[static_cast<size_t>(y * kSide + x)];
      for (size_t c = 0; c < kChannels; ++c) pixel[c] += (color[c] - pixel[c]) * cover / 256;
    }
  }
}

// Where a shape lies.
struct Placement {
  Shape shape;
  Point center;
  Point direction;
  int radius;
  int squeeze;  // percent, along the shape's own second axis

  int DistanceTo(Point p) const {
    Point local = Turn({p.x - center.x, p.y - center.y}, direction);
    local.y = local.y * 100 / squeeze;
    return SignedDistance(shape, local, radius);
  }
};

void PaintImage(Shape shape, Draws& draws, uint8_t* pixels) {
  const Color background = RandomColor(draws);
  const Texture ground(draws, background);
  const int softness = draws.Between(kSharpest, kSoftest);
  Canvas canvas;
  for (int y = 0; y < kSide; ++y) {
    for (int x = 0; x < kSide; ++x) canvas[static_cast<size_t>(y * kSide + x)] = ground.At(x, y);
  }

  // Pieces: small shapes, cut in two by a line through their middle.
  for (int left = draws.Between(0, kMostDistractors); left > 0; --left) {
    const Placement piece = {static_cast<Shape>(draws.Between(0, kShapes - 1)),
                             {draws.Between(0, kSide * kUnit), draws.Between(0, kSide * kUnit)},
                             Direction(draws),
                             draws.Between(kSmallestDistractor, kLargestDistractor),
                             draws.Between(kStrongestSqueeze, 100)};
    const Point cut = Direction(draws);
    Paint(canvas, Texture(draws, ContrastingColor(draws, background)), softness, [&](Point p) {
      const Point from_center = {p.x - piece.center.x, p.y - piece.center.y};
      return std::min(piece.DistanceTo(p), Turn(from_center, cut).x);
    });
  }

  constexpr int kMiddle = kSide * kUnit / 2;
  const Placement placement = {
      shape,
      {kMiddle + draws.Between(-kLargestShift, kLargestShift), kMiddle + draws.Between(-kLargestShift, kLargestShift)},
      Direction(draws),
      draws.Between(kSmallestRadius, kLargestRadius),
      draws.Between(kStrongestSqueeze, 100)};
  Paint(canvas, Texture(draws, ContrastingColor(draws, background)), softness,
        [&](Point p) { return placement.DistanceTo(p); });

  if (draws.Chance(kOccluderChance)) {
    const Point direction = Direction(draws);
    const int offset = draws.Between(-placement.radius / 2, placement.radius / 2);
    Paint(canvas, ground, softness, [&](Point p) {
      const Point from_center = {p.x - placement.center.x, p.y - placement.center.y};
      return kOccluderWidth / 2 - std::abs(Turn(from_center, direction).x - offset);
    });
  }

  const int brightness = draws.Between(kDarkest, 100);
  const int noise = draws.Between(kMostNoise / 4, kMostNoise);
  for (const Color& color : canvas) {
    for (const int channel : color) {
      const int lighter = draws.Between(0, noise);
      const int darker = draws.Between(0, noise);
      *pixels++ = static_cast<uint8_t>(std::clamp(channel * brightness / 100 + lighter - darker, 0, 255));
    }
  }
}

absl::StatusOr<Dataset> MakeSplit(uint64_t seed, Part part, int size) {
  if (size <= 0) return absl::InvalidArgumentError(absl::StrCat("a split of ", size, " images: it needs at least 1"));
  constexpr size_t kImageBytes = kSide * kSide * kChannels;
  std::vector<uint8_t> images(static_cast<size_t>(size) * kImageBytes);
  std::vector<int64_t> labels;
  for (int i = 0; i < size; ++i) {
    Draws draws(seed, part, i);
    PaintImage(static_cast<Shape>(i % kShapes), draws, images.data() + static_cast<size_t>(i) * kImageBytes);
    labels.push_back(i % kShapes);
  }
  return MakeDataset(std::move(images), std::move(labels), kSide, kSide, kChannels,
                     std::vector<std::string>(std::begin(kShapeNames), std::end(kShapeNames)));
}

}  // namespace

absl::StatusOr<DatasetSplits> MakeProcedural(const config::Procedural& config) {
  DatasetSplits splits;
  splits.name = "procedural";
  RETORT_ASSIGN_OR_RETURN(splits.train, MakeSplit(config.seed(), Part::kTrain, config.train_size()));
  RETORT_ASSIGN_OR_RETURN(splits.test, MakeSplit(config.seed(), Part::kTest, config.test_size()));
  return splits;
}

}  // namespace retort::data
