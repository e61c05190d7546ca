#include "retort/testing/new_folder.h"

#include <stdio.h>
#include <stdlib.h>

#include "gtest/gtest.h"

namespace retort::testing {

std::string NewFolder() { return NewFolderIn(::testing::TempDir()); }

std::string NewFolderIn(const std::string& parent) {
  std::string folder = parent + "/retort_XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) {
    perror(folder.c_str());
    abort();
  }
  return folder;
}

}  // namespace retort::testing
