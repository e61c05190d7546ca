#include "retort/pipelines/config/schema_rules.h"

#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "google/protobuf/message.h"
#include "gtest/gtest.h"
#include "retort/data/field_options.pb.h"
#include "retort/pipelines/pipeline.pb.h"

namespace retort::pipelines {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<std::string> Complaints(const Message& message) {
  const Said said;
  std::vector<Fault> faults;
  CheckSchemaRules(Cursor(message, said, &faults));
  std::vector<std::string> complaints;
  for (const Fault& fault : faults) complaints.push_back(fault.what);
  return complaints;
}

// Every message type that a pipeline can hold, itself included.
void Types(const Descriptor* type, std::set<const Descriptor*>* types) {
  if (!types->insert(type).second) return;
  for (int i = 0; i < type->field_count(); ++i) {
    if (type->field(i)->message_type() != nullptr) Types(type->field(i)->message_type(), types);
  }
}

std::unique_ptr<Message> New(const Descriptor* type) {
  return std::unique_ptr<Message>(google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
}

// How often CheckSchemaRules complains of this one number, rather than of other fields that are missing.
int ComplaintsOfNumber(const FieldDescriptor* field, double value) {
  const std::unique_ptr<Message> message = New(field->containing_type());
  const Reflection* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      field->is_repeated() ? reflection->AddInt32(message.get(), field, static_cast<int32_t>(value))
                           : reflection->SetInt32(message.get(), field, static_cast<int32_t>(value));
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE:
      field->is_repeated() ? reflection->AddDouble(message.get(), field, value)
                           : reflection->SetDouble(message.get(), field, value);
      break;
    default:
      ADD_FAILURE() << "no case for the type of " << field->full_name();
  }
  int count = 0;
  for (const std::string& complaint : Complaints(*message)) {
    if (complaint.find(absl::StrCat(" is not in ", RangeText(*field))) != std::string::npos) ++count;
  }
  return count;
}

// The ends of each range in the schema, from both sides.
TEST(SchemaRules, EveryRangeOfTheSchemaHolds) {
  std::set<const Descriptor*> types;
  Types(config::Pipeline::descriptor(), &types);
  int ranges = 0;
  for (const Descriptor* type : types) {
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* field = type->field(i);
      if (!field->options().HasExtension(config::range)) continue;
      SCOPED_TRACE(field->full_name());
      ++ranges;
      const config::Limits& limits = field->options().GetExtension(config::range);
      ASSERT_TRUE(limits.has_min() && limits.has_max());
      const bool real = field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE;
      const double step = real ? 1e-9 : 1;
      const double step_at_max = real ? limits.max() * 1e-9 : 1;
      EXPECT_EQ(ComplaintsOfNumber(field, limits.min()), limits.above_min() ? 1 : 0);
      EXPECT_EQ(ComplaintsOfNumber(field, limits.min() - step), 1);
      EXPECT_EQ(ComplaintsOfNumber(field, limits.min() + step), 0);
      EXPECT_EQ(ComplaintsOfNumber(field, limits.max()), limits.below_max() ? 1 : 0);
      EXPECT_EQ(ComplaintsOfNumber(field, limits.max() + step_at_max), 1);
      EXPECT_EQ(ComplaintsOfNumber(field, limits.max() - step_at_max), 0);
      if (real) {
        EXPECT_EQ(ComplaintsOfNumber(field, std::numeric_limits<double>::quiet_NaN()), 1);
        EXPECT_EQ(ComplaintsOfNumber(field, std::numeric_limits<double>::infinity()), 1);
      }
      const double fallback = real ? field->default_value_double() : field->default_value_int32();
      // What has none falls back on nothing.
      if (field->has_default_value()) {
        EXPECT_EQ(ComplaintsOfNumber(field, fallback), 0) << "the default is out of range";
      }
    }
  }
  EXPECT_GT(ranges, 30);
}

TEST(SchemaRules, EveryNumberOfTheSchemaHasARangeUnlessItIsASeed) {
  std::set<const Descriptor*> types;
  Types(config::Pipeline::descriptor(), &types);
  for (const Descriptor* type : types) {
    for (int i = 0; i < type->field_count(); ++i) {
      const FieldDescriptor* field = type->field(i);
      const bool number =
          field->cpp_type() == FieldDescriptor::CPPTYPE_INT32 || field->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE;
      EXPECT_EQ(number, field->options().HasExtension(config::range)) << field->full_name();
    }
  }
}

// A name in `refers_to` that is no kind of stage would never match anything.
TEST(SchemaRules, EveryReferenceIsToAKindOfStage) {
  std::set<const Descriptor*> types;
  Types(config::Pipeline::descriptor(), &types);
  const google::protobuf::OneofDescriptor* kinds = config::Stage::descriptor()->FindOneofByName("kind");
  for (const Descriptor* type : types) {
    for (int i = 0; i < type->field_count(); ++i) {
      const google::protobuf::FieldOptions& options = type->field(i)->options();
      for (int j = 0; j < options.ExtensionSize(config::refers_to); ++j) {
        const FieldDescriptor* kind =
            config::Stage::descriptor()->FindFieldByName(options.GetExtension(config::refers_to, j));
        ASSERT_NE(kind, nullptr) << type->field(i)->full_name();
        EXPECT_EQ(kind->containing_oneof(), kinds);
      }
      if (options.ExtensionSize(config::refers_to) == 0) continue;
      // Validate looks for references in the messages of stages, and not deeper.
      bool of_a_stage = false;
      for (int k = 0; k < kinds->field_count(); ++k) of_a_stage = of_a_stage || kinds->field(k)->message_type() == type;
      EXPECT_TRUE(of_a_stage) << type->field(i)->full_name();
    }
  }
}

TEST(SchemaRules, NeededCountAndOneNeeded) {
  EXPECT_THAT(Complaints(config::Term()),
              ElementsAre("needs one of "
                          "cross_entropy, distill, cosine_embedding, attention, dkd, dist, multi_level, "
                          "distillation_token, teacher_free, class_wise, top_k_cross_entropy, "
                          "gradient_attention, input_gradient, hint, nst, similarity_preserving, fsp, "
                          "factor_transfer, activation_boundary, rkd, pkt, correlation_congruence, "
                          "hierarchical_context, vid, crd, ofd, review_kd, sim_kd"));
  EXPECT_THAT(Complaints(config::Hint()), ElementsAre("\"pair\" occurs 0 times; permitted: [1, 64]"));
  EXPECT_THAT(Complaints(config::TapPair()), ElementsAre("needs \"student\"", "needs \"teacher\""));
  config::TapPair pair;
  pair.set_student("");
  pair.set_teacher("layer1");
  EXPECT_THAT(Complaints(pair), ElementsAre("must not be empty"));
  EXPECT_THAT(Complaints(config::Normalization()).size(), 2u);
  EXPECT_THAT(Complaints(config::Schedule()), IsEmpty());
}

TEST(RangeText, HasOpenAndClosedEnds) {
  const auto text = [](const Descriptor* type, const char* name) { return RangeText(*type->FindFieldByName(name)); };
  EXPECT_EQ(text(config::DistillKl::descriptor(), "temperature"), "(0, 1000]");
  EXPECT_EQ(text(config::CrossEntropy::descriptor(), "label_smoothing"), "[0, 1)");
  EXPECT_EQ(text(config::Validation::descriptor(), "fraction"), "(0, 1)");
  EXPECT_EQ(text(config::Term::descriptor(), "weight"), "[0, 1000000000]");
  EXPECT_EQ(text(config::Pipeline::descriptor(), "seed"), "[0, 18446744073709551615]");
}

}  // namespace
}  // namespace retort::pipelines
