// main() of every test. After the tests it checks the program itself: two copies of a library in one process corrupt
// memory long before anything fails visibly.
#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <vector>

namespace {

// Names in the program's dynamic symbol table, defined or needed. A 64-bit ELF file of this machine is assumed.
std::vector<std::string> DynamicSymbols(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const auto at = [&](auto* out, size_t offset) { std::memcpy(out, bytes.data() + offset, sizeof(*out)); };
  Elf64_Ehdr header;
  at(&header, 0);
  const auto section = [&](size_t index) {
    Elf64_Shdr result;
    at(&result, header.e_shoff + index * header.e_shentsize);
    return result;
  };
  std::vector<std::string> names;
  for (size_t i = 0; i < header.e_shnum; ++i) {
    const Elf64_Shdr table = section(i);
    if (table.sh_type != SHT_DYNSYM) continue;
    const size_t strings = section(table.sh_link).sh_offset;
    for (size_t offset = 0; offset < table.sh_size; offset += sizeof(Elf64_Sym)) {
      Elf64_Sym symbol;
      at(&symbol, table.sh_offset + offset);
      const std::string name = bytes.data() + strings + symbol.st_name;
      // The optional set-up function of a thread-local variable: asked for weakly, and there for nobody if it is not
      // needed.
      if (name.rfind("_ZTH", 0) == 0 && symbol.st_shndx == SHN_UNDEF) continue;
      names.push_back(name);
    }
  }
  return names;
}

// Files mapped into this process whose name starts so.
std::set<std::string> MappedFiles(const std::string& name) {
  std::set<std::string> result;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const size_t slash = line.find('/');
    if (slash == std::string::npos) continue;
    const std::string path = line.substr(slash);
    if (path.compare(path.rfind('/') + 1, name.size(), name) == 0) result.insert(path);
  }
  return result;
}

class OneOfEach : public testing::Environment {
 public:
  void TearDown() override {
    for (const std::string& name : DynamicSymbols("/proc/self/exe")) {
      if (name.find("6google8protobuf") == std::string::npos && name.find("4absl") == std::string::npos) continue;
      ADD_FAILURE() << "The program exports " << name
                    << " (and maybe others), which LibTorch's own copy may take or be "
                    << "taken for. Only main may be exported: link through the rules of //tools/bazel:retort.bzl";
      break;
    }
    EXPECT_LE(MappedFiles("libgomp").size(), 1u)
        << "Two OpenMP runtimes run two thread pools: " << testing::PrintToString(MappedFiles("libgomp"))
        << ". Link neither libgomp nor -fopenmp; LibTorch brings the one";
    EXPECT_EQ(MappedFiles("libprotobuf").size(), 0u)
        << "A shared protobuf is loaded: find the library that needs it with ldd, and do without it";
  }
};

}  // namespace

int main(int argc, char** argv) {
  testing::InitGoogleMock(&argc, argv);
  testing::AddGlobalTestEnvironment(new OneOfEach);
  return RUN_ALL_TESTS();
}
