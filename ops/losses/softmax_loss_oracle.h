// The losses of softmax_loss.h for one row, from their definitions, in float64 and without a gradient: tests take
// central differences.
#pragma once

#include <cstdint>
#include <vector>

namespace retort::ops {

// log softmax(z / T).
std::vector<double> LogSoftmaxOracle(const std::vector<double>& z, double temperature);

double CrossEntropyOracle(const std::vector<double>& logits, int64_t label, double smoothing);
double SoftCrossEntropyOracle(const std::vector<double>& logits, const std::vector<double>& targets);
double DistillKlOracle(const std::vector<double>& logits, const std::vector<double>& teacher, double temperature);

// The teacher's logits of which only `values` at `indices` are stored.
std::vector<double> UnpackOracle(int64_t classes, const std::vector<double>& values,
                                 const std::vector<int32_t>& indices, double log_sum_exp);

// The two parts of decoupled distillation.
double TargetClassOracle(const std::vector<double>& logits, const std::vector<double>& teacher, int64_t label,
                         double temperature);
double OtherClassesOracle(const std::vector<double>& logits, const std::vector<double>& teacher, int64_t label,
                          double temperature);

}  // namespace retort::ops
