// What terms there are.
#pragma once

#include <string>

namespace retort::tools {

// A paragraph a term of the schema: name, formula, tensors read, what a cache must hold of the teacher, source; before
// them what the letters mean.
std::string TermList();

}  // namespace retort::tools
