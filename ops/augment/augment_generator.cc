// Augmentation steps: tables of the kinds that map each pixel value alone, and the pass over the pixels. What they
// compute is said in augment.h.
#include <functional>
#include <utility>
#include <vector>

#include "Halide.h"
#include "retort/ops/augment/augment_record_words.h"

namespace {

using Halide::cast;
using Halide::clamp;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::select;
using Halide::Stage;
using Halide::strict_float;
using Halide::Tuple;
using Halide::Var;
using retort::ops::AugmentKind;

using Images = Halide::GeneratorInput<Halide::Buffer<uint8_t, 4>>;
using Records = Halide::GeneratorInput<Halide::Buffer<int32_t, 3>>;

Expr Byte(Expr value) { return cast<uint8_t>(std::move(value)); }
Expr Wide(Expr value) { return cast<int32_t>(std::move(value)); }

// What Pillow makes of a real number: clipped, then truncated.
Expr Truncate(Expr value) { return Byte(Wide(clamp(std::move(value), 0.0f, 255.0f))); }

// A product that is rounded before anything is added to it. strict_float alone does not keep them apart on CUDA; the
// comparison, with what no product here is below, does.
Expr Product(const Expr& a, const Expr& b) { return max(strict_float(a * b), cast(a.type(), -0x1p40f)); }

// a + factor (b - a), of integers, product and sum rounded to f32.
Expr Blend(Expr a, Expr b, Expr factor) {
  return Truncate(strict_float(cast<float>(a) + Product(factor, cast<float>(Wide(b) - Wide(a)))));
}

// ITU-R 601 luma in 16.16. Where there is one channel it is that channel.
Expr Grey(const Images& images, Expr x, Expr y, Expr b) {
  const Expr last = images.dim(0).extent() - 1;
  const auto channel = [&](int c) { return Wide(images(min(c, last), x, y, b)); };
  return Byte((19595 * channel(0) + 38470 * channel(1) + 7471 * channel(2) + 32768) >> 16);
}

// Record s of image b, word by word.
class Record {
 public:
  Record(const Records& records, Expr s, Expr b) : word_([&records, s, b](int i) { return records(i, s, b); }) {}

  Expr Is(AugmentKind wanted) const { return word_(0) == static_cast<int>(wanted); }
  // Whether each pixel value is mapped alone.
  Expr IsTable() const { return word_(0) < static_cast<int>(AugmentKind::kAffine); }
  Expr factor() const { return Halide::reinterpret<float>(word_(1)); }
  Expr value(int i) const { return word_(2 + i); }

 private:
  std::function<Expr(int)> word_;
};

struct Case {
  Expr condition;  // Of the image alone.
  Expr value;
};

// f(args) = the value whose condition holds. On the host each case is a stage of its own, run only for the images it is
// for; on a GPU all are weighed by every thread, in one kernel, with the first as what remains.
template <typename F>
void Choose(F& f, const std::vector<Var>& args, const std::vector<Case>& cases, bool gpu) {
  if (gpu) {
    Expr chosen = cases[0].value;
    for (size_t i = 1; i < cases.size(); ++i) chosen = select(cases[i].condition, cases[i].value, chosen);
    f(args) = chosen;
    return;
  }
  f(args) = Halide::undef<uint8_t>();
  const std::vector<Expr> exprs(args.begin(), args.end());
  for (const Case& one : cases) {
    RDom once(0, 1);
    once.where(one.condition);
    f(exprs) = one.value + Byte(once.x);
  }
}

void DeclareImages(const Images& images) {
  images.dim(0).set_min(0).set_stride(1);
  images.dim(1).set_min(0).set_stride(images.dim(0).extent());
  images.dim(2).set_min(0);
  images.dim(3).set_min(0);
}

void DeclareRecords(const Records& records) {
  records.dim(0).set_bounds(0, retort::ops::kAugmentRecordWords).set_stride(1);
  records.dim(1).set_min(0);
  records.dim(2).set_min(0);
}

class AugmentTables : public Halide::Generator<AugmentTables> {
 public:
  Images images{"images"};                      // [B,H,W,C]
  Records records{"records"};                   // [B,S,8]
  Input<int32_t> s{"s"};                        // which of S
  Output<Buffer<uint8_t, 3>> tables{"tables"};  // [B,C,256]

  void generate() {
    const Record record(records, s, b);
    const Expr width = images.dim(1).extent(), height = images.dim(2).extent();
    const Expr pixels = width * height;
    const bool gpu = get_target().has_gpu_feature();

    // Sums below 2^32, since images have at most 2^24 pixels.
    all = RDom(0, width, 0, height, "all");
    all.where(record.Is(AugmentKind::kContrast));
    grey_sum(b) = cast<uint32_t>(0);
    grey_sum(b) += cast<uint32_t>(Grey(images, all.x, all.y, b));
    const Expr mean = Wide((grey_sum(b) + cast<uint32_t>(pixels / 2)) / cast<uint32_t>(pixels));

    const Expr counted = record.Is(AugmentKind::kAutocontrast) || record.Is(AugmentKind::kEqualize);
    each = RDom(0, width, 0, height, "each");
    each.where(counted);
    histogram(i, c, b) = 0;
    histogram(Wide(images(c, each.x, each.y, b)), c, b) += 1;

    value = RDom(0, 256, "value");
    value.where(counted);
    const Expr there = histogram(value, c, b) > 0;
    ends(c, b) = Tuple(255, 0);
    ends(c, b) = Tuple(min(ends(c, b)[0], select(there, value, 255)), max(ends(c, b)[1], select(there, value, 0)));
    const Expr least = clamp(ends(c, b)[0], 0, 255), greatest = clamp(ends(c, b)[1], 0, 255);

    // Pixels below a value.
    next = RDom(1, 255, "next");
    next.where(record.Is(AugmentKind::kEqualize));
    below(i, c, b) = 0;
    below(next, c, b) = below(next - 1, c, b) + histogram(next - 1, c, b);

    const Expr scale = strict_float(cast<double>(255) / cast<double>(max(greatest - least, 1)));
    const Expr stretched = strict_float(Product(cast<double>(i), scale) + Product(cast<double>(-least), scale));
    const Expr step = (pixels - histogram(greatest, c, b)) / 255;
    // Exact: the quotient of sums below 2^24 is farther from the next integer than f64 errs.
    const Expr rank =
        Wide(floor((cast<double>(below(i, c, b) + step / 2) + cast<double>(0.5f)) / cast<double>(max(step, 1))));

    Choose(tables, {i, c, b},
           {{record.Is(AugmentKind::kIdentity), Byte(i)},
            {record.Is(AugmentKind::kBrightness), Blend(0, i, record.factor())},
            {record.Is(AugmentKind::kContrast), Blend(mean, i, record.factor())},
            {record.Is(AugmentKind::kPosterize), Byte(i & record.value(0))},
            {record.Is(AugmentKind::kSolarize), Byte(select(i < record.value(0), i, 255 - i))},
            {record.Is(AugmentKind::kAutocontrast),
             select(greatest > least, Byte(Wide(clamp(stretched, cast<double>(0), cast<double>(255)))), Byte(i))},
            {record.Is(AugmentKind::kEqualize), select(greatest > least && step > 0, Byte(min(rank, 255)), Byte(i))}},
           gpu);
  }

  void schedule() {
    DeclareImages(images);
    DeclareRecords(records);
    tables.dim(0).set_bounds(0, 256);
    tables.dim(1).set_bounds(0, images.dim(0).extent());
    tables.dim(2).set_min(0);

    if (get_target().has_gpu_feature()) {
      // A block an image: 32 x 8 threads, which are 256 entries or a part of the image.
      Var low{"low"}, high{"high"};
      Halide::RVar x("x"), y("y"), low_x("low_x"), low_y("low_y");
      tables.split(i, high, low, 32).reorder(low, high, c, b).gpu_blocks(b).gpu_threads(low, high);
      grey_sum.compute_at(tables, b)
          .update()
          .atomic()
          .tile(all.x, all.y, x, y, low_x, low_y, 32, 8)
          .gpu_threads(low_x, low_y);
      histogram.compute_at(tables, b).split(i, high, low, 32).gpu_threads(low, high);
      histogram.update()
          .atomic()
          .reorder(c, each.x, each.y)
          .tile(each.x, each.y, x, y, low_x, low_y, 32, 8)
          .gpu_threads(low_x, low_y);
      ends.compute_at(tables, b).gpu_threads(c).update().gpu_threads(c);
      below.compute_at(tables, b).split(i, high, low, 32).gpu_threads(low, high).update().gpu_threads(c);
      return;
    }
    constexpr int kVector = 16;
    for (int stage = 0; stage < 7; ++stage) {
      tables.update(stage).reorder(i, c, b).vectorize(i, kVector);
    }
    grey_sum.compute_at(tables, b).update().atomic().vectorize(all.x, kVector);
    histogram.compute_at(tables, b).bound_storage(c, 3).vectorize(i, kVector);
    histogram.update().reorder(c, each.x, each.y);
    ends.compute_at(tables, b).bound_storage(c, 3);
    ends.update().atomic().vectorize(value, kVector);
    below.compute_at(tables, b).bound_storage(c, 3).vectorize(i, kVector);
    below.update().reorder(c, next);
    for (const int count : {3, 1}) {
      const Expr here = images.dim(0).extent() == count;
      histogram.specialize(here).unroll(c);
      histogram.update().specialize(here).unroll(c);
      ends.specialize(here).unroll(c);
      ends.update().specialize(here).unroll(c);
      below.specialize(here).unroll(c);
      below.update().specialize(here).unroll(c);
    }
  }

 private:
  Var i{"i"}, c{"c"}, b{"b"};
  Func grey_sum{"grey_sum"}, histogram{"histogram"}, ends{"ends"}, below{"below"};
  RDom all, each, value, next;
};

class Augment : public Halide::Generator<Augment> {
 public:
  Images images{"images"};                     // [B,H,W,C]
  Records records{"records"};                  // [B,S,8]
  Input<int32_t> s{"s"};                       // which of S
  Input<Buffer<uint8_t, 3>> tables{"tables"};  // [B,C,256]
  // Columns from a pixel to its neighbour: more than one where the caller gives a row of pixels as a row of bytes.
  Input<int32_t> step{"step"};
  Output<Buffer<uint8_t, 4>> output{"output"};  // [B,H,W,C]

  void generate() {
    const Record record(records, s, b);
    const Expr width = images.dim(1).extent(), height = images.dim(2).extent();
    const Expr pixel = images(c, x, y, b);

    const Expr looked_up = tables(clamp(Wide(pixel), 0, 255), c, b);

    // Sums wrap as Pillow's do.
    const auto fixed = [&](int i) {
      return Wide(cast<uint32_t>(record.value(i)) * cast<uint32_t>(x) +
                  cast<uint32_t>(record.value(i + 1)) * cast<uint32_t>(y) + cast<uint32_t>(record.value(i + 2))) >>
             16;
    };
    const Expr from_x = fixed(0), from_y = fixed(3);
    const Expr inside = from_x >= 0 && from_x < width && from_y >= 0 && from_y < height;
    source(x, y, b) =
        Tuple(clamp(from_x, 0, width - 1), clamp(from_y, 0, height - 1), select(inside, Byte(255), Byte(0)));
    const Tuple from = source(x, y, b);
    const Expr moved = images(c, from[0], from[1], b) & from[2];

    grey(x, y, b) = Grey(images, x, y, b);
    const Expr coloured = Blend(grey(x, y, b), pixel, record.factor());

    // The sum of three rows; what it is beyond the ends of a row does not matter.
    const auto three_rows = [&](const Expr& at_x) {
      const auto row = [&](const Expr& at_y) { return cast<uint16_t>(images(c, at_x, clamp(at_y, 0, height - 1), b)); };
      return row(y - 1) + row(y) + row(y + 1);
    };
    if (get_target().has_gpu_feature()) {
      column(c, x, y, b) = three_rows(clamp(x, 0, width - 1));
    } else {
      columns = RDom(0, width, "columns");
      column(c, x, y, b) = cast<uint16_t>(0);
      column(c, columns, y, b) = three_rows(columns);
    }
    const Expr sum = column(c, x - step, y, b) + column(c, x, y, b) + column(c, x + step, y, b) +
                     cast<uint16_t>(4) * cast<uint16_t>(pixel);
    const Expr smooth = Wide((sum + cast<uint16_t>(6)) / cast<uint16_t>(13));
    const Expr border = x < step || x >= width - step || y == 0 || y == height - 1;
    const Expr sharpened = select(border, pixel, Blend(smooth, pixel, record.factor()));

    Choose(output, {c, x, y, b},
           {{record.IsTable(), looked_up},
            {record.Is(AugmentKind::kAffine), moved},
            {record.Is(AugmentKind::kColor), coloured},
            {record.Is(AugmentKind::kSharpness), sharpened},
            {record.Is(AugmentKind::kHue), Hue(record.value(0))}},
           get_target().has_gpu_feature());
  }

  void schedule() {
    DeclareImages(images);
    DeclareRecords(records);
    tables.dim(0).set_bounds(0, 256);
    tables.dim(1).set_bounds(0, images.dim(0).extent());
    tables.dim(2).set_min(0);
    output.dim(0).set_bounds(0, images.dim(0).extent()).set_stride(1);
    output.dim(1).set_bounds(0, images.dim(1).extent()).set_stride(images.dim(0).extent());
    output.dim(2).set_bounds(0, images.dim(2).extent());
    output.dim(3).set_min(0);
    if (get_target().has_gpu_feature()) {
      Var thread_x{"thread_x"}, thread_y{"thread_y"};
      output.reorder(c, x, y, b)
          .gpu_tile(x, y, thread_x, thread_y, 32, 8, Halide::TailStrategy::GuardWithIf)
          .gpu_blocks(b);
      return;
    }
    const Expr rgb = images.dim(0).extent() == 3, plain = images.dim(0).extent() == 1;
    enum { kLookUp, kMove, kColor, kSharpen, kHue };
    for (const int stage : {kLookUp, kMove, kColor, kSharpen, kHue}) output.update(stage).reorder(c, x, y, b);
    for (const Expr& here : {rgb, plain}) {
      output.update(kLookUp).specialize(here).unroll(c);
      output.update(kMove).specialize(here).unroll(c);
    }
    source.store_at(output, b).compute_at(output, y).vectorize(x, 16);
    output.update(kColor)
        .specialize(rgb && images.dim(1).extent() >= 32)
        .unroll(c)
        .vectorize(x, 32, Halide::TailStrategy::GuardWithIf);
    column.store_at(output, b).compute_at(output, y).vectorize(x, 32);
    column.update().vectorize(columns, 32);
    column.specialize(plain);
    column.update().specialize(plain);
    output.update(kSharpen)
        .specialize(plain && images.dim(1).extent() >= 32)
        .vectorize(x, 32, Halide::TailStrategy::GuardWithIf);
    output.update(kHue)
        .specialize(rgb && images.dim(1).extent() >= 16)
        .unroll(c)
        .vectorize(x, 16, Halide::TailStrategy::GuardWithIf);
  }

 private:
  // Pillow's way to HSV and back, all three in a byte, its f32 and f64 in the same places.
  Expr Hue(const Expr& shift) {
    const Expr last = images.dim(0).extent() - 1;
    const auto channel = [&](int i) { return Wide(images(min(i, last), x, y, b)); };
    const auto real = [](Expr value) { return cast<double>(std::move(value)); };
    const auto rounded = [](Expr value) { return cast<float>(std::move(value)); };
    const Expr red = channel(0), green = channel(1), blue = channel(2);
    const Expr most = max(red, green, blue), least = min(red, green, blue);
    const Expr range = rounded(max(most - least, 1));
    const auto distance = [&](const Expr& value) { return strict_float(rounded(most - value) / range); };
    const Expr r = distance(red), g = distance(green), bl = distance(blue);
    const Expr sixth = select(red == most, strict_float(bl - g),  //
                              select(green == most, rounded(strict_float(real(2) + real(r) - real(bl))),
                                     rounded(strict_float(real(4) + real(g) - real(r)))));
    const Expr turn = strict_float(real(sixth) / real(6) + real(1));
    const Expr hue = rounded(strict_float(turn - floor(turn)));
    const Expr saturation = strict_float(range / rounded(max(most, 1)));
    const auto byte = [&](const Expr& value) { return clamp(Wide(strict_float(real(value) * real(255))), 0, 255); };
    const Expr h = (select(most == least, 0, byte(hue)) + shift) & 255;
    const Expr s = byte(saturation);

    const Expr sector_real = strict_float(real(h) * real(6) / real(255));
    const Expr sector = Wide(floor(sector_real));
    const Expr f = rounded(strict_float(sector_real - real(sector)));
    const Expr fs = rounded(strict_float(real(s) / real(255)));
    // Away from zero at a half, as C's round; nothing here is negative.
    const auto of = [&](const Expr& part) {
      return clamp(Wide(floor(strict_float(Product(real(most), part) + real(Expr(0.5f))))), 0, 255);
    };
    const Expr p = of(strict_float(real(1) - real(fs)));
    const Expr q = of(strict_float(real(1) - real(strict_float(fs * f))));
    const Expr t = of(strict_float(real(1) - Product(real(fs), real(1) - real(f))));
    const auto pick = [&](const Expr& s0, const Expr& s1, const Expr& s2, const Expr& s3, const Expr& s4,
                          const Expr& s5) {
      const Expr n = sector % 6;
      return select(n == 0, s0, n == 1, s1, n == 2, s2, n == 3, s3, n == 4, s4, s5);
    };
    const Expr shifted = select(c == 0, pick(most, q, p, p, t, most), c == 1, pick(t, most, most, q, p, p),
                                pick(p, p, t, most, most, q));
    return Byte(select(most == least || s == 0, most, shifted));
  }

  Var x{"x"}, y{"y"}, c{"c"}, b{"b"};
  Func source{"source"}, grey{"grey"}, column{"column"};
  RDom columns;
};

}  // namespace

HALIDE_REGISTER_GENERATOR(AugmentTables, augment_tables)
HALIDE_REGISTER_GENERATOR(Augment, augment)
