#include "retort/pipelines/store/canonical_text.h"

#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "retort/data/field_options.pb.h"
#include "retort/pipelines/pipeline.pb.h"

namespace retort::pipelines {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

config::Pipeline Parse(const std::string& text) {
  config::Pipeline pipeline;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &pipeline)) << text;
  return pipeline;
}

constexpr char kText[] = R"(
    name: "x\ny" seed: 3
    stage { name: "cifar" ingest { cifar10 {} } }
    stage { name: "student" distill {
      data: "cifar" model { light_nn { dropout: 0.25 } }
      objective { term { weight: 0.3 distill {} } }
      train { optimizer { sgd {} } schedule { constant {} } augment { flip {} } normalize { mean: [0.5, 1] } } } }
    deployment { store: "/data" })";

TEST(CanonicalText, Golden) {
  EXPECT_EQ(CanonicalText(Parse(kText)), R"(name: "x\ny"
seed: 3
stage[0].name: "cifar"
stage[0].ingest.cifar10: {}
stage[1].name: "student"
stage[1].distill.data: "cifar"
stage[1].distill.model.light_nn.conv1: 16
stage[1].distill.model.light_nn.conv2: 16
stage[1].distill.model.light_nn.hidden: 256
stage[1].distill.model.light_nn.dropout: 0.25
stage[1].distill.objective.term[0].weight: 0.3
stage[1].distill.objective.term[0].distill.temperature: 4
stage[1].distill.objective.term[0].distill.form: KL
stage[1].distill.objective.term[0].distill.standardize: false
stage[1].distill.train.epochs: 10
stage[1].distill.train.batch_size: 128
stage[1].distill.train.optimizer.sgd.learning_rate: 0.1
stage[1].distill.train.optimizer.sgd.momentum: 0.9
stage[1].distill.train.optimizer.sgd.nesterov: false
stage[1].distill.train.optimizer.sgd.weight_decay: 0
stage[1].distill.train.optimizer.decay_norms_and_biases: true
stage[1].distill.train.schedule.warmup_epochs: 0
stage[1].distill.train.schedule.warmup_start: 0.1
stage[1].distill.train.schedule.constant: {}
stage[1].distill.train.schedule.per: EPOCH
stage[1].distill.train.augment[0].flip.probability: 0.5
stage[1].distill.train.normalize.mean[0]: 0.5
stage[1].distill.train.normalize.mean[1]: 1
stage[1].distill.train.accumulate: 1
stage[1].distill.view_use: ONE_VIEW_PER_EPOCH
stage[1].distill.teacher_view: SAME_VIEW
stage[1].distill.mixing: MIX_THEN_TEACH
)");
}

TEST(CanonicalText, OrderSpacesAndExplicitDefaultsMakeNoDifference) {
  EXPECT_EQ(CanonicalText(Parse(R"(
    deployment { store: "/other" checkpoint_seconds: 7 }
    stage { ingest { cifar10 < > } name: 'cifar' }
    # comment
    stage { distill {
      replicates: 1 view_use: ONE_VIEW_PER_EPOCH
      train { normalize { mean: 5e-1 mean: 1.0 } augment [{ flip { probability: 0.5 } }] schedule { constant {} warmup_start: .1 }
              optimizer { sgd { weight_decay: 0 nesterov: false momentum: 0.9 learning_rate: 0.1 } } batch_size: 128 epochs: 10 }
      objective { term { distill { form: KL temperature: 4.0 } weight: 3e-1 } }
      model { light_nn { hidden: 256 conv1: 16 conv2: 0x10 dropout: 0.250 } } data: "cifar" }
      name: "stu" "dent" }
    seed: 3 name: "x\012y")")),
            CanonicalText(Parse(kText)));
}

// A sample of every message that a pipeline can hold: all fields set, each repeated field with two elements, each oneof
// with the alternative number `choice` (modulo their count, whose quotient chooses within the alternative).
void Fill(Message* message, int choice) {
  const Reflection* reflection = message->GetReflection();
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->field(i);
    const auto* oneof = field->containing_oneof();
    if (oneof != nullptr && field->index_in_oneof() != choice % oneof->field_count()) continue;
    const int inner = oneof != nullptr ? choice / oneof->field_count() : choice;
    for (int n = 0; n < (field->is_repeated() ? 2 : 1); ++n) {
      switch (field->cpp_type()) {
        case FieldDescriptor::CPPTYPE_MESSAGE:
          Fill(field->is_repeated() ? reflection->AddMessage(message, field)
                                    : reflection->MutableMessage(message, field),
               inner);
          break;
        case FieldDescriptor::CPPTYPE_INT32:
          field->is_repeated() ? reflection->AddInt32(message, field, 7) : reflection->SetInt32(message, field, 7);
          break;
        case FieldDescriptor::CPPTYPE_DOUBLE:
          field->is_repeated() ? reflection->AddDouble(message, field, 0.5)
                               : reflection->SetDouble(message, field, 0.5);
          break;
        case FieldDescriptor::CPPTYPE_STRING:
          field->is_repeated() ? reflection->AddString(message, field, "s")
                               : reflection->SetString(message, field, "s");
          break;
        default:
          ASSERT_FALSE(field->is_repeated()) << field->full_name();  // the schema has no such field
      }
    }
  }
}

// The least change of one scalar.
void Change(Message* message, const FieldDescriptor* field, int index) {
  const Reflection* reflection = message->GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return index < 0 ? reflection->SetInt32(message, field, 8)
                       : reflection->SetRepeatedInt32(message, field, index, 8);
    case FieldDescriptor::CPPTYPE_UINT64:
      return reflection->SetUInt64(message, field, reflection->GetUInt64(*message, field) + 1);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->SetBool(message, field, !reflection->GetBool(*message, field));
    case FieldDescriptor::CPPTYPE_ENUM: {
      const int next = reflection->GetEnum(*message, field)->index() + 1;
      const auto* type = field->enum_type();
      return reflection->SetEnum(message, field, type->value(next % type->value_count()));
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      const double next = 0.5 * (1 + std::numeric_limits<double>::epsilon());
      return index < 0 ? reflection->SetDouble(message, field, next)
                       : reflection->SetRepeatedDouble(message, field, index, next);
    }
    case FieldDescriptor::CPPTYPE_STRING:
      return index < 0 ? reflection->SetString(message, field, "s ")
                       : reflection->SetRepeatedString(message, field, index, "s ");
    default:
      ADD_FAILURE() << field->full_name();
  }
}

// Changes every scalar within `message`, a part of `whole`, in turn, and notes its name; `expect_equal` for those that
// are for deployment alone.
void ChangeEach(const Message& whole, Message* message, bool expect_equal, std::set<std::string>* changed) {
  const std::string before = CanonicalText(whole);
  const Reflection* reflection = message->GetReflection();
  for (int i = 0; i < message->GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message->GetDescriptor()->field(i);
    if (!field->is_repeated() && field->containing_oneof() != nullptr && !reflection->HasField(*message, field))
      continue;
    const bool equal = expect_equal || field->options().GetExtension(config::deployment);
    const int size = field->is_repeated() ? reflection->FieldSize(*message, field) : 1;
    for (int n = 0; n < size; ++n) {
      if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        ChangeEach(whole,
                   field->is_repeated() ? reflection->MutableRepeatedMessage(message, field, n)
                                        : reflection->MutableMessage(message, field),
                   equal, changed);
        continue;
      }
      const std::unique_ptr<Message> saved(message->New());
      saved->CopyFrom(*message);
      Change(message, field, field->is_repeated() ? n : -1);
      EXPECT_EQ(CanonicalText(whole) == before, equal) << field->full_name();
      message->CopyFrom(*saved);
      changed->insert(field->full_name());
    }
  }
}

// All scalar fields of `type` and of the messages within it.
void Scalars(const google::protobuf::Descriptor* type, std::set<std::string>* scalars) {
  for (int i = 0; i < type->field_count(); ++i) {
    if (type->field(i)->message_type() == nullptr) {
      scalars->insert(type->field(i)->full_name());
    } else {
      Scalars(type->field(i)->message_type(), scalars);
    }
  }
}

TEST(CanonicalText, EveryFieldThatDecidesAResultChangesIt) {
  std::set<std::string> changed;
  for (int choice = 0; choice < 1000; ++choice) {  // 8 kinds of stage, times the largest oneofs within them
    config::Pipeline pipeline;
    Fill(&pipeline, choice);
    ChangeEach(pipeline, &pipeline, /*expect_equal=*/false, &changed);
  }
  std::set<std::string> scalars;
  Scalars(config::Pipeline::descriptor(), &scalars);
  EXPECT_EQ(changed, scalars);
}

TEST(CanonicalText, AlternativesAndPresenceDiffer) {
  std::vector<std::string> texts;
  for (const char* text :
       {R"()", R"(numerics {})", R"(stage {})", R"(stage {} stage {})", R"(stage { ingest {} })",
        R"(stage { ingest { cifar10 {} } })", R"(stage { ingest { cifar100 {} } })",
        R"(stage { cache_logits { data: "" } })", R"(stage { cache_logits { views: "" } })",
        R"(stage { cache_logits {} })", R"(stage { augment { step { auto_augment {} } } })",
        R"(stage { augment { step { auto_augment { magnitude: 0 } } } })",
        R"(stage { finetune { train { optimizer { clip_norm: 1 } } } })",
        R"(stage { finetune { train { optimizer {} } } })", R"(name: "\nseed: 1")", R"(name: "a" seed: 1)",
        R"(stage { report { run: "a" run: "b" } })", R"(stage { report { run: "ab" } })"}) {
    texts.push_back(CanonicalText(Parse(text)));
  }
  for (size_t i = 0; i < texts.size(); ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_NE(texts[i], texts[j]) << i << " " << j;
  }
}

}  // namespace
}  // namespace retort::pipelines
