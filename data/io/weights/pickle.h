// A closed reader of Python's pickle format: it makes plain data and nothing else. No opcode runs, imports or makes
// anything of Python's; what a pickle would call is kept as data, and only for names that the caller permits. Format:
// python/cpython, Lib/pickletools.py; protocol 2, and of it the opcodes that dictionaries of tensors need.
#pragma once

#include <cstdint>
#include <deque>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace retort::data {

class Pickle {
 public:
  using Id = uint32_t;

  enum class Kind {
    kNone,
    kBool,        // integer: 0 or 1
    kInteger,     // integer
    kNumber,      // a float, or an integer of more than 64 bits; its value is not kept
    kText,        // text
    kTuple,       // items
    kList,        // items
    kDict,        // items: key, value, key, value, ...
    kGlobal,      // text: "module\nname"
    kCall,        // items: the global, the tuple of arguments
    kPersistent,  // items: what names the object outside the pickle
  };

  struct Value {
    Kind kind;
    int64_t integer = 0;
    absl::string_view text;  // within the pickle's bytes
    std::vector<Id> items;
  };

  enum class Permission { kRefused, kName, kCallable };

  // `permission` is asked what may be done with a global, "module\nname". "collections\nOrderedDict" needs no
  // permission and makes a kDict.
  //
  // DataLoss for what breaks off or contradicts itself, and for every opcode or global that is not permitted, by its
  // name and position. Limits: 2^18 values, 2^19 items, 2^18 deep on the stack, so that no pickle takes more than
  // 48 MB.
  static absl::StatusOr<Pickle> Parse(absl::Span<const uint8_t> bytes,
                                      absl::FunctionRef<Permission(absl::string_view global)> permission);

  const Value& operator[](Id id) const { return values_[id]; }
  Id root() const { return root_; }

 private:
  friend class PickleMachine;

  std::deque<Value> values_;
  Id root_ = 0;
};

}  // namespace retort::data
