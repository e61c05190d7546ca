// The loss of a student that takes over its teacher's classifier.
#pragma once

#include <memory>

#include "retort/kd/objective.pb.h"
#include "retort/kd/term.h"

namespace retort::kd {

// P(x_s) = relu(norm(conv1x1(relu(norm(conv3x3(relu(norm(conv1x1(x_s)))))))), with C_t / factor channels inside and C_t
// at the end, of the student's map x_s; the larger of x_s and the teacher's map t is average-pooled to the smaller
// size.
//
//   loss = mean over all elements of (P(x_s) - t)^2
//
// No other term is to be summed with it. This is the loss alone: a student so trained answers with the teacher's
// classifier on the mean over places of P(x_s), which a term, that has tensors and no model, cannot put together;
// accuracies that a training or evaluation reports are those of the student's own head, which does not learn. Whoever
// deploys it takes P from the term's parts: parameters "first.weight", "first_norm.weight", "second...", "third..." and
// the running statistics, which are its buffers; an export writes them beside the student.
//
// Source: Chen et al., arXiv 2203.14001; DefangChen/SimKD, models/util.py.
//
// InvalidArgument names the taps and their shapes.
std::unique_ptr<Term> MakeSimKd(const config::SimKd& config);

}  // namespace retort::kd
