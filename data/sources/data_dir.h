// Where published data sets lie.
#pragma once

#include <string>

namespace retort::data {

// The folder unless a user says otherwise: $RETORT_DATA, else ~/.cache/retort/data.
std::string DefaultDataDir();

}  // namespace retort::data
