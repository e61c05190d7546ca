// For tests: a place for their files.
#pragma once

#include <string>

namespace retort::testing {

// The path of a new, empty folder in the test's temporary directory. Ends the program if there can be none.
std::string NewFolder();

// The same in `parent`, which is there.
std::string NewFolderIn(const std::string& parent);

}  // namespace retort::testing
