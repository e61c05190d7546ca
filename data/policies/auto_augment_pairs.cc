#include "retort/data/policies/auto_augment_pairs.h"

namespace retort::data {
namespace {

using config::AutoAugment;
using Op = AugmentOp;

constexpr AutoAugmentPair kCifar10[] = {
    {{{Op::kInvert, 0.1}, {Op::kContrast, 0.2, 6}}},         {{{Op::kRotate, 0.7, 2}, {Op::kTranslateX, 0.3, 9}}},
    {{{Op::kSharpness, 0.8, 1}, {Op::kSharpness, 0.9, 3}}},  {{{Op::kShearY, 0.5, 8}, {Op::kTranslateY, 0.7, 9}}},
    {{{Op::kAutocontrast, 0.5}, {Op::kEqualize, 0.9}}},      {{{Op::kShearY, 0.2, 7}, {Op::kPosterize, 0.3, 7}}},
    {{{Op::kColor, 0.4, 3}, {Op::kBrightness, 0.6, 7}}},     {{{Op::kSharpness, 0.3, 9}, {Op::kBrightness, 0.7, 9}}},
    {{{Op::kEqualize, 0.6}, {Op::kEqualize, 0.5}}},          {{{Op::kContrast, 0.6, 7}, {Op::kSharpness, 0.6, 5}}},
    {{{Op::kColor, 0.7, 7}, {Op::kTranslateX, 0.5, 8}}},     {{{Op::kEqualize, 0.3}, {Op::kAutocontrast, 0.4}}},
    {{{Op::kTranslateY, 0.4, 3}, {Op::kSharpness, 0.2, 6}}}, {{{Op::kBrightness, 0.9, 6}, {Op::kColor, 0.2, 8}}},
    {{{Op::kSolarize, 0.5, 2}, {Op::kInvert, 0.0}}},         {{{Op::kEqualize, 0.2}, {Op::kAutocontrast, 0.6}}},
    {{{Op::kEqualize, 0.2}, {Op::kEqualize, 0.6}}},          {{{Op::kColor, 0.9, 9}, {Op::kEqualize, 0.6}}},
    {{{Op::kAutocontrast, 0.8}, {Op::kSolarize, 0.2, 8}}},   {{{Op::kBrightness, 0.1, 3}, {Op::kColor, 0.7, 0}}},
    {{{Op::kSolarize, 0.4, 5}, {Op::kAutocontrast, 0.9}}},   {{{Op::kTranslateY, 0.9, 9}, {Op::kTranslateY, 0.7, 9}}},
    {{{Op::kAutocontrast, 0.9}, {Op::kSolarize, 0.8, 3}}},   {{{Op::kEqualize, 0.8}, {Op::kInvert, 0.1}}},
    {{{Op::kTranslateY, 0.7, 9}, {Op::kAutocontrast, 0.9}}},
};

constexpr AutoAugmentPair kImageNet[] = {
    {{{Op::kPosterize, 0.4, 8}, {Op::kRotate, 0.6, 9}}}, {{{Op::kSolarize, 0.6, 5}, {Op::kAutocontrast, 0.6}}},
    {{{Op::kEqualize, 0.8}, {Op::kEqualize, 0.6}}},      {{{Op::kPosterize, 0.6, 7}, {Op::kPosterize, 0.6, 6}}},
    {{{Op::kEqualize, 0.4}, {Op::kSolarize, 0.2, 4}}},   {{{Op::kEqualize, 0.4}, {Op::kRotate, 0.8, 8}}},
    {{{Op::kSolarize, 0.6, 3}, {Op::kEqualize, 0.6}}},   {{{Op::kPosterize, 0.8, 5}, {Op::kEqualize, 1.0}}},
    {{{Op::kRotate, 0.2, 3}, {Op::kSolarize, 0.6, 8}}},  {{{Op::kEqualize, 0.6}, {Op::kPosterize, 0.4, 6}}},
    {{{Op::kRotate, 0.8, 8}, {Op::kColor, 0.4, 0}}},     {{{Op::kRotate, 0.4, 9}, {Op::kEqualize, 0.6}}},
    {{{Op::kEqualize, 0.0}, {Op::kEqualize, 0.8}}},      {{{Op::kInvert, 0.6}, {Op::kEqualize, 1.0}}},
    {{{Op::kColor, 0.6, 4}, {Op::kContrast, 1.0, 8}}},   {{{Op::kRotate, 0.8, 8}, {Op::kColor, 1.0, 2}}},
    {{{Op::kColor, 0.8, 8}, {Op::kSolarize, 0.8, 7}}},   {{{Op::kSharpness, 0.4, 7}, {Op::kInvert, 0.6}}},
    {{{Op::kShearX, 0.6, 5}, {Op::kEqualize, 1.0}}},     {{{Op::kColor, 0.4, 0}, {Op::kEqualize, 0.6}}},
    {{{Op::kEqualize, 0.4}, {Op::kSolarize, 0.2, 4}}},   {{{Op::kSolarize, 0.6, 5}, {Op::kAutocontrast, 0.6}}},
    {{{Op::kInvert, 0.6}, {Op::kEqualize, 1.0}}},        {{{Op::kColor, 0.6, 4}, {Op::kContrast, 1.0, 8}}},
    {{{Op::kEqualize, 0.8}, {Op::kEqualize, 0.6}}},
};

constexpr AutoAugmentPair kSvhn[] = {
    {{{Op::kShearX, 0.9, 4}, {Op::kInvert, 0.2}}},          {{{Op::kShearY, 0.9, 8}, {Op::kInvert, 0.7}}},
    {{{Op::kEqualize, 0.6}, {Op::kSolarize, 0.6, 6}}},      {{{Op::kInvert, 0.9}, {Op::kEqualize, 0.6}}},
    {{{Op::kEqualize, 0.6}, {Op::kRotate, 0.9, 3}}},        {{{Op::kShearX, 0.9, 4}, {Op::kAutocontrast, 0.8}}},
    {{{Op::kShearY, 0.9, 8}, {Op::kInvert, 0.4}}},          {{{Op::kShearY, 0.9, 5}, {Op::kSolarize, 0.2, 6}}},
    {{{Op::kInvert, 0.9}, {Op::kAutocontrast, 0.8}}},       {{{Op::kEqualize, 0.6}, {Op::kRotate, 0.9, 3}}},
    {{{Op::kShearX, 0.9, 4}, {Op::kSolarize, 0.3, 3}}},     {{{Op::kShearY, 0.8, 8}, {Op::kInvert, 0.7}}},
    {{{Op::kEqualize, 0.9}, {Op::kTranslateY, 0.6, 6}}},    {{{Op::kInvert, 0.9}, {Op::kEqualize, 0.6}}},
    {{{Op::kContrast, 0.3, 3}, {Op::kRotate, 0.8, 4}}},     {{{Op::kInvert, 0.8}, {Op::kTranslateY, 0.0, 2}}},
    {{{Op::kShearY, 0.7, 6}, {Op::kSolarize, 0.4, 8}}},     {{{Op::kInvert, 0.6}, {Op::kRotate, 0.8, 4}}},
    {{{Op::kShearY, 0.3, 7}, {Op::kTranslateX, 0.9, 3}}},   {{{Op::kShearX, 0.1, 6}, {Op::kInvert, 0.6}}},
    {{{Op::kSolarize, 0.7, 2}, {Op::kTranslateY, 0.6, 7}}}, {{{Op::kShearY, 0.8, 4}, {Op::kInvert, 0.8}}},
    {{{Op::kShearX, 0.7, 9}, {Op::kTranslateY, 0.8, 3}}},   {{{Op::kShearY, 0.8, 5}, {Op::kAutocontrast, 0.7}}},
    {{{Op::kShearX, 0.7, 2}, {Op::kInvert, 0.1}}},
};

}  // namespace

absl::Span<const AutoAugmentPair> PairsOf(AutoAugment::Policy policy) {
  switch (policy) {
    case AutoAugment::CIFAR10:
      return kCifar10;
    case AutoAugment::IMAGENET:
      return kImageNet;
    case AutoAugment::SVHN:
      return kSvhn;
  }
  return kCifar10;
}

}  // namespace retort::data
