// One spelling for a number.
#pragma once

#include <string>

namespace retort::pipelines {

// The shortest text that reads back to the same bits; whole numbers below 2^53 without an exponent. "inf", "-inf",
// "nan".
std::string NumberText(double value);
std::string NumberText(float value);

}  // namespace retort::pipelines
