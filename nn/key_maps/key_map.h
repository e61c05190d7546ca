// Renames tensors between the conventions of libraries.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "retort/nn/key_maps/key_map.pb.h"

namespace retort::nn {

class KeyMap {
 public:
  enum class Direction { kForward, kBackward };  // from `from` to `to`, or back

  // The empty map: every name stays.
  KeyMap() = default;

  // InvalidArgument names the rule with a torn brace, or whose sides have different words.
  static absl::StatusOr<KeyMap> Create(const config::KeyMap& map, Direction direction = Direction::kForward);

  // `known`, then `rules` where it has no rule that fits.
  static absl::StatusOr<KeyMap> Create(config::KnownKeyMap known,
                                       const google::protobuf::RepeatedPtrField<config::KeyRule>& rules);

  std::string Map(absl::string_view name) const;

 private:
  // A piece of a pattern: literal text, or a word that stands for text.
  struct Piece {
    enum Kind { kLiteral, kPart, kAny } kind;
    std::string text;
  };
  using Pattern = std::vector<Piece>;

  static absl::StatusOr<Pattern> Parse(absl::string_view pattern);
  static bool Match(const Pattern& pattern, size_t piece, absl::string_view name,
                    std::vector<std::pair<std::string, std::string>>* words);

  std::vector<std::pair<Pattern, Pattern>> rules_;
};

// Whether `name` fits `pattern`, in which * stands for any characters, also none: "head.*".
bool FitsPattern(absl::string_view name, absl::string_view pattern);

}  // namespace retort::nn
