#include "retort/data/io/weights/pytorch_file.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"

#include "retort/data/io/status_macros.h"
#include "retort/data/io/weights/pickle.h"

namespace retort::data {
namespace {

using Id = Pickle::Id;
using Kind = Pickle::Kind;
using Value = Pickle::Value;

constexpr absl::string_view kZipBegin("PK\x03\x04", 4);
// A pickle of the long integer 0x1950a86a20f9469cfc6c.
constexpr absl::string_view kLegacyBegin("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14);
constexpr absl::string_view kTarMark = "ustar";
constexpr size_t kTarMarkAt = 257;
constexpr char kRemedy[] = "; in Python, save it anew: torch.save(model.state_dict(), path)";

constexpr char kTorchScript[] =
    "it is a TorchScript archive, a program with its tensors; in Python: torch.save(torch.jit.load(path).state_dict(), "
    "new_path)";

constexpr size_t kMostTensors = 1 << 16;
constexpr size_t kMostNameBytes = 8 << 20;
constexpr size_t kMostDimensions = 64;
constexpr int kDeepestDict = 8;
constexpr size_t kMostDicts = 1024;
// What an expanded tensor may take once its elements are written out, unless the file is larger.
constexpr int64_t kLargestExpanded = 64 << 20;

struct NamedType {
  absl::string_view name;  // "module\nname"
  DType dtype;
};

constexpr NamedType kStorages[] = {
    {"torch\nFloatStorage", DType::kF32},        {"torch\nDoubleStorage", DType::kF64},
    {"torch\nHalfStorage", DType::kF16},         {"torch\nBFloat16Storage", DType::kBF16},
    {"torch\nLongStorage", DType::kI64},         {"torch\nIntStorage", DType::kI32},
    {"torch\nShortStorage", DType::kI16},        {"torch\nCharStorage", DType::kI8},
    {"torch\nByteStorage", DType::kU8},          {"torch\nBoolStorage", DType::kBool},
    {"torch\nComplexFloatStorage", DType::kC64},
};
constexpr absl::string_view kUntypedStorage = "torch.storage\nUntypedStorage";

constexpr NamedType kTypes[] = {
    {"torch\nfloat32", DType::kF32},
    {"torch\nfloat64", DType::kF64},
    {"torch\nfloat16", DType::kF16},
    {"torch\nbfloat16", DType::kBF16},
    {"torch\nint64", DType::kI64},
    {"torch\nint32", DType::kI32},
    {"torch\nint16", DType::kI16},
    {"torch\nint8", DType::kI8},
    {"torch\nuint8", DType::kU8},
    {"torch\nuint16", DType::kU16},
    {"torch\nuint32", DType::kU32},
    {"torch\nuint64", DType::kU64},
    {"torch\nbool", DType::kBool},
    {"torch\ncomplex64", DType::kC64},
    {"torch\nfloat8_e4m3fn", DType::kF8E4M3},
    {"torch\nfloat8_e5m2", DType::kF8E5M2},
    {"torch\nfloat8_e4m3fnuz", DType::kF8E4M3Fnuz},
    {"torch\nfloat8_e5m2fnuz", DType::kF8E5M2Fnuz},
    {"torch\nfloat8_e8m0fnu", DType::kF8E8M0},
};

constexpr absl::string_view kTensorV2 = "torch._utils\n_rebuild_tensor_v2";
constexpr absl::string_view kTensorV3 = "torch._utils\n_rebuild_tensor_v3";
constexpr absl::string_view kParameter = "torch._utils\n_rebuild_parameter";
constexpr absl::string_view kSize = "torch\nSize";

const NamedType* FindType(absl::Span<const NamedType> types, absl::string_view name) {
  const auto found = std::find_if(types.begin(), types.end(), [&](const NamedType& type) { return type.name == name; });
  return found == types.end() ? nullptr : &*found;
}

Pickle::Permission PermissionOf(absl::string_view global) {
  for (const absl::string_view callable : {kTensorV2, kTensorV3, kParameter, kSize}) {
    if (global == callable) return Pickle::Permission::kCallable;
  }
  const bool is_type =
      FindType(kStorages, global) != nullptr || FindType(kTypes, global) != nullptr || global == kUntypedStorage;
  return is_type ? Pickle::Permission::kName : Pickle::Permission::kRefused;
}

// Text of a file, fit for a message.
std::string Shown(absl::string_view text) {
  constexpr size_t kLongest = 120;
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, kLongest)), text.size() > kLongest ? "..." : "", "\"");
}

template <typename... Parts>
absl::Status Damaged(const Parts&... parts) {
  return absl::DataLossError(absl::StrCat(parts...));
}

absl::string_view Text(absl::Span<const uint8_t> bytes) {
  return absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

bool IsTar(absl::string_view bytes) {
  return bytes.substr(std::min(kTarMarkAt, bytes.size())).substr(0, 5) == kTarMark;
}

// Everything that has to be known to make views of a pickle's tensors.
class StateDicts {
 public:
  // `root` is the archive's folder, "archive/".
  StateDicts(const ZipFile& zip, const Pickle& pickle, absl::string_view root)
      : zip_(zip), pickle_(pickle), root_(root) {}

  struct Found {
    std::string path;
    Id dict;
    size_t tensors;
  };

  std::vector<Found> List() const {
    std::vector<Found> found;
    absl::flat_hash_set<Id> seen;
    Collect(pickle_.root(), "", 0, &seen, &found);
    return found;
  }

  absl::Status Read(Id dict, std::vector<StridedView>* tensors, std::vector<std::string>* others,
                    std::vector<ZipRecord>* storages) {
    const std::vector<Id>& items = pickle_[dict].items;
    absl::flat_hash_set<absl::string_view> names;
    size_t name_bytes = 0;
    for (size_t i = 0; i < items.size(); i += 2) {
      const Value& key = pickle_[items[i]];
      const std::string number = key.kind == Kind::kText ? "" : absl::StrCat(key.integer);
      const absl::string_view name = key.kind == Kind::kText ? key.text : number;
      name_bytes += name.size();
      if (name_bytes > kMostNameBytes) return Damaged("names of more than ", kMostNameBytes, " bytes");
      if (!IsTensor(items[i + 1])) {
        others->emplace_back(name);
        continue;
      }
      if (key.kind != Kind::kText) return Damaged("a tensor has the number ", number, " for a name");
      if (!names.insert(name).second) return Damaged("the name ", Shown(name), " occurs twice");
      if (tensors->size() == kMostTensors) return Damaged("more than ", kMostTensors, " tensors");
      StridedView view;
      view.name = std::string(name);
      if (const absl::Status status = ReadTensor(items[i + 1], &view); !status.ok()) {
        return Damaged("tensor ", Shown(name), ": ", status.message());
      }
      tensors->push_back(std::move(view));
    }
    for (const auto& [key, record] : storages_) storages->push_back(*record);
    return absl::OkStatus();
  }

 private:
  absl::string_view Callee(const Value& call) const { return pickle_[call.items[0]].text; }

  bool IsTensor(Id id) const { return pickle_[id].kind == Kind::kCall && Callee(pickle_[id]) != kSize; }

  void Collect(Id id, const std::string& path, int depth, absl::flat_hash_set<Id>* seen,
               std::vector<Found>* found) const {
    const Value& dict = pickle_[id];
    if (dict.kind != Kind::kDict || depth > kDeepestDict || seen->size() == kMostDicts || !seen->insert(id).second) {
      return;
    }
    size_t tensors = 0;
    for (size_t i = 0; i < dict.items.size(); i += 2) tensors += IsTensor(dict.items[i + 1]) ? 1 : 0;
    if (tensors > 0) found->push_back({path.empty() ? "." : path, id, tensors});
    for (size_t i = 0; i < dict.items.size(); i += 2) {
      const Value& key = pickle_[dict.items[i]];
      if (key.kind != Kind::kText || key.text.size() > 256) continue;
      Collect(dict.items[i + 1], absl::StrCat(path, path.empty() ? "" : ".", key.text), depth + 1, seen, found);
    }
  }

  static absl::Status Malformed() { return Damaged("is not made as PyTorch makes it"); }

  // The integers of a tuple.
  absl::Status Integers(Id id, std::vector<int64_t>* out) const {
    const Value& tuple = pickle_[id];
    // A torch.Size is a call of its name with a tuple.
    if (tuple.kind == Kind::kCall && Callee(tuple) == kSize) {
      const Value& arguments = pickle_[tuple.items[1]];
      return arguments.items.size() == 1 && pickle_[arguments.items[0]].kind == Kind::kTuple
                 ? Integers(arguments.items[0], out)
                 : Malformed();
    }
    if (tuple.kind != Kind::kTuple) return Malformed();
    if (tuple.items.size() > kMostDimensions) return Damaged("more than ", kMostDimensions, " dimensions");
    for (const Id item : tuple.items) {
      if (pickle_[item].kind != Kind::kInteger) return Malformed();
      out->push_back(pickle_[item].integer);
    }
    return absl::OkStatus();
  }

  absl::Status ReadTensor(Id id, StridedView* view) {
    const Value* call = &pickle_[id];
    if (Callee(*call) == kParameter) {  // (tensor, requires_grad, hooks)
      const std::vector<Id>& arguments = pickle_[call->items[1]].items;
      if (arguments.size() != 3) return Malformed();
      call = &pickle_[arguments[0]];
      if (call->kind != Kind::kCall) return Malformed();
    }
    const bool v3 = Callee(*call) == kTensorV3;
    if (!v3 && Callee(*call) != kTensorV2) return Malformed();
    // (storage, offset, shape, strides, requires_grad, hooks, [dtype,] [metadata])
    const std::vector<Id>& arguments = pickle_[call->items[1]].items;
    const size_t needed = v3 ? 7 : 6;
    if (arguments.size() != needed && arguments.size() != needed + 1) return Malformed();
    if (arguments.size() > needed) {
      const Value& metadata = pickle_[arguments[needed]];
      if (metadata.kind != Kind::kNone && !(metadata.kind == Kind::kDict && metadata.items.empty())) {
        return Damaged("is a conjugate or negative view; save tensor.resolve_conj().resolve_neg()");
      }
    }
    const Value& offset = pickle_[arguments[1]];
    if (pickle_[arguments[0]].kind != Kind::kPersistent || offset.kind != Kind::kInteger) return Malformed();
    RETORT_RETURN_IF_ERROR(Integers(arguments[2], &view->shape));
    RETORT_RETURN_IF_ERROR(Integers(arguments[3], &view->strides));
    const NamedType* dtype = nullptr;
    if (v3) {
      dtype = FindType(kTypes, pickle_[arguments[6]].text);
      if (dtype == nullptr || pickle_[arguments[6]].kind != Kind::kGlobal) return Malformed();
    }
    absl::Span<const uint8_t> storage;
    RETORT_RETURN_IF_ERROR(ReadStorage(pickle_[arguments[0]].items[0], dtype, &view->dtype, &storage));
    return Place(offset.integer, storage, view);
  }

  // persistent: ("storage", type, key, location, count). `dtype` says what an untyped storage holds.
  absl::Status ReadStorage(Id persistent, const NamedType* dtype, DType* type, absl::Span<const uint8_t>* bytes) {
    const Value& tuple = pickle_[persistent];
    if (tuple.kind != Kind::kTuple || tuple.items.size() != 5) return Malformed();
    const Value &tag = pickle_[tuple.items[0]], &name = pickle_[tuple.items[1]], &key = pickle_[tuple.items[2]],
                &count = pickle_[tuple.items[4]];
    if (tag.kind != Kind::kText || tag.text != "storage" || name.kind != Kind::kGlobal || key.kind != Kind::kText ||
        pickle_[tuple.items[3]].kind != Kind::kText || count.kind != Kind::kInteger) {
      return Malformed();
    }
    const bool untyped = name.text == kUntypedStorage;
    if (!untyped) dtype = dtype == nullptr ? FindType(kStorages, name.text) : nullptr;
    if (dtype == nullptr) return Malformed();
    *type = dtype->dtype;
    const ZipRecord*& record = storages_[key.text];
    if (record == nullptr) record = zip_.Find(absl::StrCat(root_, "data/", key.text.substr(0, 0xffff)));
    if (record == nullptr) {
      storages_.erase(key.text);
      return Damaged("its storage ", Shown(key.text), " is missing");
    }
    // An untyped storage counts bytes.
    const absl::optional<int64_t> size =
        untyped ? absl::make_optional(count.integer) : ByteCount(dtype->dtype, {count.integer});
    if (!size.has_value() || *size < 0 || static_cast<uint64_t>(*size) != record->bytes.size()) {
      return Damaged("its storage ", Shown(key.text), " should hold ", count.integer, untyped ? " bytes" : " elements",
                     " and has ", record->bytes.size(), " bytes");
    }
    *bytes = record->bytes;
    return absl::OkStatus();
  }

  // Cuts what `view` reaches out of its storage.
  absl::Status Place(int64_t offset, absl::Span<const uint8_t> storage, StridedView* view) const {
    const int64_t size = DTypeBits(view->dtype) / 8;
    const int64_t elements = static_cast<int64_t>(storage.size()) / size;
    const auto outside = [&] {
      return Damaged("shape [", absl::StrJoin(view->shape, ","), "], strides [", absl::StrJoin(view->strides, ","),
                     "] and offset ", offset, " leave its storage of ", elements, " elements");
    };
    if (view->strides.size() != view->shape.size()) return Malformed();
    const absl::optional<int64_t> bytes = ByteCount(view->dtype, view->shape);
    if (!bytes.has_value() || offset < 0 || offset > elements) return outside();
    int64_t last = offset;
    for (size_t i = 0; i < view->shape.size(); ++i) {
      int64_t reach;
      if (view->strides[i] < 0) return outside();
      if (view->shape[i] == 0) continue;
      if (__builtin_mul_overflow(view->shape[i] - 1, view->strides[i], &reach) ||
          __builtin_add_overflow(last, reach, &last)) {
        return outside();
      }
    }
    if (*bytes == 0) return absl::OkStatus();
    if (last >= elements) return outside();
    if (*bytes > std::max<int64_t>(kLargestExpanded, static_cast<int64_t>(zip_.storage()->bytes().size()))) {
      return Damaged(DescribeTensor(view->dtype, view->shape), " is expanded to ", *bytes,
                     " bytes, more than the file has");
    }
    view->bytes = storage.subspan(static_cast<size_t>(offset * size), static_cast<size_t>((last - offset + 1) * size));
    return absl::OkStatus();
  }

  const ZipFile& zip_;
  const Pickle& pickle_;
  const absl::string_view root_;
  absl::flat_hash_map<absl::string_view, const ZipRecord*> storages_;
};

// The archive's folder with its slash.
absl::StatusOr<absl::string_view> Root(const ZipFile& zip) {
  constexpr absl::string_view kPickle = "/data.pkl";
  absl::optional<absl::string_view> root;
  for (const ZipRecord& record : zip.records()) {
    absl::string_view folder = record.name;
    if (!absl::ConsumeSuffix(&folder, kPickle) || absl::StrContains(folder, '/')) continue;
    if (root.has_value()) return Damaged("it has two records data.pkl");
    root = record.name.substr(0, folder.size() + 1);
  }
  if (!root.has_value()) return Damaged("it is a zip archive without data.pkl, so not of torch.save");
  return *root;
}

absl::StatusOr<Id> Choose(const std::vector<StateDicts::Found>& found, absl::string_view wanted) {
  const std::string list = absl::StrJoin(found, ", ", [](std::string* out, const StateDicts::Found& one) {
    if (out->size() > 2000) return;
    absl::StrAppend(out, Shown(one.path), " (", one.tensors, one.tensors == 1 ? " tensor)" : " tensors)");
  });
  if (wanted.empty()) {
    if (found.size() == 1) return found[0].dict;
    if (found.empty()) {
      return Damaged("it holds no dictionary of tensors", kRemedy);
    }
    return absl::InvalidArgumentError(
        absl::StrCat("it holds several dictionaries of tensors; choose one by state_dict: ", list));
  }
  for (const StateDicts::Found& one : found) {
    if (one.path == wanted) return one.dict;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("it has no dictionary of tensors ", Shown(wanted), "; it has: ", list));
}

}  // namespace

bool PyTorchFile::Recognises(absl::Span<const uint8_t> bytes) {
  const absl::string_view text = Text(bytes);
  return absl::StartsWith(text, kZipBegin) || absl::StartsWith(text, "\x80") || IsTar(text);
}

absl::StatusOr<PyTorchFile> PyTorchFile::Open(const std::string& path, absl::string_view state_dict) {
  const auto refused = [&path](const absl::Status& status) {
    return absl::Status(status.code(), absl::StrCat(path, " cannot be read as a PyTorch file: ", status.message()));
  };
  {
    RETORT_ASSIGN_OR_RETURN(const std::shared_ptr<const MappedFile> file, MappedFile::Open(path));
    const absl::string_view text = Text(file->bytes());
    if (absl::StartsWith(text, kLegacyBegin)) {
      return refused(Damaged("it is of the format before PyTorch 1.6, a stream of pickles", kRemedy));
    }
    if (IsTar(text)) return refused(Damaged("it is of PyTorch's oldest format, a tar archive", kRemedy));
    if (absl::StartsWith(text, "\x80")) return refused(Damaged("it is a bare pickle, no file of torch.save", kRemedy));
    // TorchScript deflates its programs, so it cannot be opened to be asked. Its directory stands at the end.
    constexpr size_t kDirectory = 1 << 16;
    if (absl::StrContains(text.substr(text.size() - std::min(text.size(), kDirectory)), "/constants.pkl")) {
      return refused(Damaged(kTorchScript));
    }
  }
  RETORT_ASSIGN_OR_RETURN(ZipFile zip, ZipFile::Open(path));
  const absl::StatusOr<absl::string_view> root = Root(zip);
  if (!root.ok()) return refused(root.status());
  if (const ZipRecord* order = zip.Find(absl::StrCat(*root, "byteorder")); order != nullptr) {
    if (Text(order->bytes) != "little") {
      return refused(Damaged("its bytes are in the order ", Shown(Text(order->bytes)), "; only little is read"));
    }
  }
  const ZipRecord* record = zip.Find(absl::StrCat(*root, "data.pkl"));
  RETORT_RETURN_IF_ERROR(zip.Verify(*record));
  const absl::StatusOr<Pickle> pickle = Pickle::Parse(record->bytes, PermissionOf);
  if (!pickle.ok()) return refused(pickle.status());

  PyTorchFile file(std::move(zip));
  StateDicts dicts(file.zip_, *pickle, *root);
  const absl::StatusOr<Id> dict = Choose(dicts.List(), state_dict);
  if (!dict.ok()) return refused(dict.status());
  if (const absl::Status read = dicts.Read(*dict, &file.tensors_, &file.others_, &file.storages_); !read.ok()) {
    return refused(read);
  }
  return file;
}

absl::Status PyTorchFile::Verify() const {
  for (const ZipRecord& storage : storages_) RETORT_RETURN_IF_ERROR(zip_.Verify(storage));
  return absl::OkStatus();
}

}  // namespace retort::data
