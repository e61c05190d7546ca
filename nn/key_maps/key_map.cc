#include "retort/nn/key_maps/key_map.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "google/protobuf/text_format.h"

#include "retort/data/io/status_macros.h"

namespace retort::nn {
namespace {

constexpr absl::string_view kTorchvisionVitToTimm =
#include "retort/nn/key_maps/torchvision_vit_to_timm.textproto.inc"
    ;

}  // namespace

absl::StatusOr<KeyMap::Pattern> KeyMap::Parse(absl::string_view pattern) {
  const auto fault = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat("\"", pattern, "\": ", what));
  };
  Pattern pieces;
  absl::string_view rest = pattern;
  while (!rest.empty()) {
    const size_t open = rest.find_first_of("{}");
    if (open > 0) pieces.push_back({Piece::kLiteral, std::string(rest.substr(0, open))});
    if (open == absl::string_view::npos) break;
    rest.remove_prefix(open);
    const size_t close = rest.find('}');
    if (rest[0] != '{' || close == absl::string_view::npos) return fault("a brace without its other one");
    absl::string_view word = rest.substr(1, close - 1);
    const bool any = absl::ConsumeSuffix(&word, "*");
    if (word.empty() || absl::StrContains(word, '{'))
      return fault("a word in braces needs a name, as in {n} or {rest*}");
    if (!pieces.empty() && pieces.back().kind != Piece::kLiteral) return fault("two words need text between them");
    for (const Piece& piece : pieces) {
      if (piece.kind != Piece::kLiteral && piece.text == word) return fault("a word occurs twice");
    }
    pieces.push_back({any ? Piece::kAny : Piece::kPart, std::string(word)});
    rest.remove_prefix(close + 1);
  }
  if (pieces.empty()) return fault("an empty name");
  return pieces;
}

absl::StatusOr<KeyMap> KeyMap::Create(const config::KeyMap& map, Direction direction) {
  KeyMap result;
  for (const config::KeyRule& rule : map.rule()) {
    RETORT_ASSIGN_OR_RETURN(Pattern from, Parse(rule.from()));
    RETORT_ASSIGN_OR_RETURN(Pattern to, Parse(rule.to()));
    const auto words = [](const Pattern& pattern) {
      std::vector<std::string> all;
      for (const Piece& piece : pattern) {
        if (piece.kind != Piece::kLiteral) all.push_back(piece.text + (piece.kind == Piece::kAny ? "*" : ""));
      }
      std::sort(all.begin(), all.end());
      return all;
    };
    if (words(from) != words(to)) {
      return absl::InvalidArgumentError(
          absl::StrCat("\"", rule.from(), "\" to \"", rule.to(), "\": both sides need the same words in braces"));
    }
    if (direction == Direction::kBackward) std::swap(from, to);
    result.rules_.emplace_back(std::move(from), std::move(to));
  }
  return result;
}

absl::StatusOr<KeyMap> KeyMap::Create(config::KnownKeyMap known,
                                      const google::protobuf::RepeatedPtrField<config::KeyRule>& rules) {
  config::KeyMap text, own;
  *own.mutable_rule() = rules;
  Direction direction = Direction::kForward;
  switch (known) {
    case config::SAME_NAMES:
      break;
    case config::TIMM_VIT_TO_TORCHVISION:
      direction = Direction::kBackward;
      [[fallthrough]];
    case config::TORCHVISION_VIT_TO_TIMM:
      if (!google::protobuf::TextFormat::ParseFromString(std::string(kTorchvisionVitToTimm), &text)) {
        return absl::InternalError("nn/key_maps/torchvision_vit_to_timm.textproto cannot be parsed");
      }
  }
  RETORT_ASSIGN_OR_RETURN(KeyMap map, Create(text, direction));
  RETORT_ASSIGN_OR_RETURN(KeyMap further, Create(own));
  for (auto& rule : further.rules_) map.rules_.push_back(std::move(rule));
  return map;
}

bool KeyMap::Match(const Pattern& pattern, size_t piece, absl::string_view name,
                   std::vector<std::pair<std::string, std::string>>* words) {
  if (piece == pattern.size()) return name.empty();
  const auto& [kind, text] = pattern[piece];
  if (kind == Piece::kLiteral) return absl::ConsumePrefix(&name, text) && Match(pattern, piece + 1, name, words);
  const size_t most = kind == Piece::kPart ? std::min(name.find('.'), name.size()) : name.size();
  // Literal text follows, so the shortest that fits comes first.
  for (size_t length = 1; length <= most; ++length) {
    words->emplace_back(text, name.substr(0, length));
    if (Match(pattern, piece + 1, name.substr(length), words)) return true;
    words->pop_back();
  }
  return false;
}

std::string KeyMap::Map(absl::string_view name) const {
  for (const auto& [from, to] : rules_) {
    std::vector<std::pair<std::string, std::string>> words;
    if (!Match(from, 0, name, &words)) continue;
    std::string mapped;
    for (const Piece& piece : to) {
      if (piece.kind == Piece::kLiteral) mapped += piece.text;
      for (const auto& [word, text] : words) {
        if (piece.kind != Piece::kLiteral && word == piece.text) mapped += text;
      }
    }
    return mapped;
  }
  return std::string(name);
}

bool FitsPattern(absl::string_view name, absl::string_view pattern) {
  const size_t star = pattern.find('*');
  if (star == absl::string_view::npos) return name == pattern;
  if (!absl::ConsumePrefix(&name, pattern.substr(0, star))) return false;
  const absl::string_view rest = pattern.substr(star + 1);
  for (size_t skipped = 0; skipped <= name.size(); ++skipped) {
    if (FitsPattern(name.substr(skipped), rest)) return true;
  }
  return false;
}

}  // namespace retort::nn
