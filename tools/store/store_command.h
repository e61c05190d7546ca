// Looks into a store of artifacts, explains it, and throws away what is no longer wanted.
#pragma once

#include <ostream>
#include <string>
#include <vector>

namespace retort::tools {

// Runs the command line behind the program's name, such as {"show", "3f2a"}; --help prints them all. Returns the exit
// code: 0 done, 64 wrong usage, 65 something is damaged, 66 no such store or artifact, 73 or 74 cannot remove, 75 in
// use.
int RunStoreCommand(const std::vector<std::string>& arguments, std::ostream& out, std::ostream& err);

}  // namespace retort::tools
